package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ainexus.io/launch/site"
	"ainexus.io/nexus"
)

// Invocation is a command line in torchrun's form.
type Invocation struct {
	// Options holds what the line says: Command (for `run: a list`), MaxRestarts, RunID, Role, MasterAddr, MasterPort,
	// Meet, LogDir (as written), LogSize, LogFiles, Redirects, Tee, Show, Prefix, Grace and Binding, and Order, which the
	// environment says. The rest is the caller's to fill in.
	Options Options
	// PerNode is --nproc-per-node: a number, "auto", "cpu" or "gpu"; default "1". See [Invocation.Workers].
	PerNode string
	// Signals are those to listen to for Options.Signals.
	Signals []os.Signal
	// Notes are sentences on options that change nothing here, and on what was found out about the run.
	Notes []string
}

// ErrOtherTells is why one of several launchers that were started together must not run, where another one of them says
// what is wrong. It needs no words.
var ErrOtherTells = errors.New("another launcher of this run tells what is wrong")

// ErrHelp is the answer to --help among the options.
var ErrHelp = errors.New("help is wanted")

// option is one of torchrun's options.
type option struct {
	flag bool   // takes no value
	env  string // another variable that counts where PET_<OPTION> is not set
	note string // said when it is given; it changes nothing
	set  func(i *Invocation, value string) error
}

// options are torchrun's and two of ours, by name with dashes. Its short names are spelled out before.
func options() map[string]option {
	quiet := func(*Invocation, string) error { return nil }
	idle := func(why string) option { return option{note: why, set: quiet} }
	return map[string]option{
		"nproc-per-node":     {set: func(i *Invocation, v string) error { i.PerNode = v; return nil }},
		"nnodes":             {set: nodeCount},
		"node-rank":          {set: nodeRank},
		"max-restarts":       {set: func(i *Invocation, v string) (err error) { i.Options.MaxRestarts, err = count(v); return err }},
		"standalone":         {flag: true, set: quiet},
		"module":             {flag: true, set: quiet}, // read by command
		"no-python":          {flag: true, set: quiet},
		"run-path":           {flag: true, set: quiet},
		"role":               {set: func(i *Invocation, v string) error { i.Options.Role = v; return nil }},
		"log-dir":            {set: func(i *Invocation, v string) error { i.Options.LogDir = v; return nil }},
		"redirects":          {set: func(i *Invocation, v string) (err error) { i.Options.Redirects, err = ParseStd(v); return err }},
		"tee":                {set: func(i *Invocation, v string) (err error) { i.Options.Tee, err = ParseStd(v); return err }},
		"local-ranks-filter": {set: shownRanks},
		"master-addr":        {set: func(i *Invocation, v string) error { i.Options.MasterAddr = v; return nil }},
		"local-addr":         {set: func(i *Invocation, v string) error { i.Options.Meet.LocalAddr = v; return nil }},
		"master-port":        {set: func(i *Invocation, v string) (err error) { i.Options.MasterPort, err = port(v); return err }},
		"rdzv-id":            {set: func(i *Invocation, v string) error { i.Options.RunID = v; return nil }},
		"rdzv-backend":       {set: backend},
		"rdzv-endpoint":      {set: endpoint},
		"rdzv-conf":          {set: meetConf},
		"signals-to-handle":  {set: handledSignals},
		"numa-binding":       {set: func(i *Invocation, v string) (err error) { i.Options.Binding, err = ParseBinding(v); return err }},
		"start-method":       {note: "workers are programs of their own, however they are started", set: startMethod},
		"monitor-interval":   {note: "nothing is polled: the end of a worker is noticed at once", set: interval},
		"event-log-handler":  idle("what happens is told on stderr"),
		"logs-specs":         {note: "there is one way of keeping logs, --log-dir", set: logsSpecs},
		"shutdown-timeout":   {set: shutdownTimeout, env: "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"},
		"log-max-size":       {set: logSize}, // this one and the next are ours
		"log-max-files":      {set: logFiles},
		"use-env":            {flag: true, note: "LOCAL_RANK is always in the environment", set: quiet},
	}
}

// variable is the environment's name of an option.
func variable(name string) string {
	return "PET_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// ParseArgs reads torchrun's command line: options with dashes or underscores, then the script and its arguments. PET_<OPTION>
// variables, found by getenv, count where an option is not given, and the site where neither is. Errors are [nexus.Error]s,
// [ErrHelp] or [ErrOtherTells].
func ParseArgs(s site.Site, args []string, getenv func(string) string) (Invocation, error) {
	given, rest, err := splitArgs(args)
	if err != nil {
		return Invocation{}, err
	}
	said := map[string]string{} // how the user calls what he has given
	for name := range given {
		said[name] = "--" + name
	}
	for name, o := range options() {
		key := variable(name)
		if o.env != "" && getenv(key) == "" {
			key = o.env
		}
		value := getenv(key)
		if said[name] != "" || value == "" {
			continue
		}
		if o.flag && value != "0" && value != "1" {
			return Invocation{}, refuse(fmt.Sprintf("%s is %q; it is 1 or 0", key, value), "")
		}
		if !o.flag || value == "1" {
			given[name], said[name] = value, key
		}
	}
	inv := Invocation{PerNode: "1", Signals: defaultSignals()}
	inv.Options.Meet.Rank = -1
	if err := inv.settle(given, s); err != nil {
		return Invocation{}, err
	}
	for name := range given {
		if said[name] == "" {
			said[name] = s.By + "'s --" + name
		}
	}
	return inv.assemble(given, said, rest, getenv)
}

// splitArgs gives the options that are on the command line, by name, and what follows them.
func splitArgs(args []string) (given map[string]string, rest []string, err error) {
	known := options()
	given, rest = map[string]string{}, args
	for len(rest) > 0 {
		arg := rest[0]
		if arg == "--" {
			rest = rest[1:]
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			break
		}
		if arg == "-h" || arg == "--help" {
			return nil, nil, ErrHelp
		}
		name, value, inline := splitOption(arg)
		o, ok := known[name]
		if !ok {
			return nil, nil, wrongOption(arg, name, known)
		}
		rest = rest[1:]
		switch {
		case o.flag && inline:
			return nil, nil, refuse(fmt.Sprintf("--%s takes no value", name), "")
		case o.flag:
			value = "1"
		case !inline && (len(rest) == 0 || strings.HasPrefix(rest[0], "--")):
			return nil, nil, refuse(fmt.Sprintf("--%s needs a value", name), "")
		case !inline:
			value, rest = rest[0], rest[1:]
		}
		given[name] = value
	}
	return given, rest, nil
}

// assemble applies the options in a fixed order and makes the command.
func (i Invocation) assemble(given, said map[string]string, rest []string, getenv func(string) string) (Invocation, error) {
	known := options()
	for _, name := range sortedKeys(given) {
		if err := known[name].set(&i, given[name]); err != nil {
			return Invocation{}, refuse(fmt.Sprintf("%s: %v", said[name], err), "")
		}
		if note := known[name].note; note != "" {
			i.Notes = append(i.Notes, fmt.Sprintf("%s does nothing here: %s", said[name], note))
		}
	}
	order, err := orderFrom(getenv)
	if i.Options.Order = order; order != nil && len(rest) == 0 {
		i.Options.Command = order.Spec.Run
	} else if err == nil {
		i.Options.Command.Argv, err = commandLine(rest, given, getenv)
	}
	i.Options.Prefix = getenv("TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE") // torchrun's, since 2.3
	if err == nil {
		err = i.meet(given)
	}
	return i, err
}

// commandLine is what every worker runs: Python for what only Python can run, as torchrun does for everything, and any
// other program as it is.
func commandLine(rest []string, given map[string]string, getenv func(string) string) ([]string, error) {
	module, noPython, path := given["module"] != "", given["no-python"] != "", given["run-path"] != ""
	switch {
	case len(rest) == 0:
		return nil, refuse("there is no program to launch", "nexus launch --nproc-per-node 4 train.py")
	case module && noPython:
		return nil, refuse("--module and --no-python contradict each other", "leave one of them out")
	case path && (module || noPython):
		return nil, refuse("--run-path takes a Python script: neither a --module nor a program that is no Python", "leave one of them out")
	case module:
		return append([]string{python(getenv), "-u", "-m"}, rest...), nil
	case path || !noPython && isPython(rest[0], getenv):
		return append([]string{python(getenv), "-u"}, rest...), nil
	}
	return rest, nil
}

// isPython reports whether a program is for the interpreter to run: by its name, or because nothing else can run it. That is a
// file that is not executable, a directory, and one that only lies in the working directory, where no program is looked for.
func isPython(name string, getenv func(string) string) bool {
	switch filepath.Ext(name) {
	case ".py", ".pyc", ".pyz", ".zip":
		return true
	}
	info, err := os.Stat(name)
	if err != nil {
		return false
	}
	if strings.Contains(name, "/") {
		return info.IsDir() || info.Mode()&0o111 == 0
	}
	_, err = lookPath(name, "/", getenv("PATH"))
	return err != nil
}

// python is the interpreter of the active environment.
func python(getenv func(string) string) string {
	if exe := getenv("PYTHON_EXEC"); exe != "" { // torchrun's variable
		return exe
	}
	for _, name := range []string{"python", "python3"} {
		for _, dir := range filepath.SplitList(getenv("PATH")) {
			if executable(filepath.Join(dir, name), name) == nil {
				return name
			}
		}
	}
	return "python3"
}

// splitOption reads "--max_restarts=3", "-r3" and the like.
func splitOption(arg string) (name, value string, inline bool) {
	short := map[byte]string{'m': "module", 'r': "redirects", 't': "tee"}
	if !strings.HasPrefix(arg, "--") && len(arg) >= 2 {
		if long, ok := short[arg[1]]; ok {
			value = strings.TrimPrefix(arg[2:], "=")
			return long, value, arg[2:] != ""
		}
		return arg, "", false
	}
	name, value, inline = strings.Cut(arg[2:], "=")
	return strings.ReplaceAll(name, "_", "-"), value, inline
}

func wrongOption(arg, name string, known map[string]option) error {
	for _, other := range sortedKeys(known) {
		if len(name) > 3 && strings.HasPrefix(other, name) {
			return refuse(fmt.Sprintf("%s is no option of launch", arg), "did you mean --"+other+"?")
		}
	}
	switch name {
	case "virtual-local-rank":
		return refuse("--virtual-local-rank of torchrun is not here", "each worker sees all devices of the node; take the one of LOCAL_RANK")
	case "duplicate-stdout-filters", "duplicate-stderr-filters":
		return refuse(fmt.Sprintf("--%s of torchrun is not here", name), "nexus launch ... | grep PATTERN shows the lines that match")
	}
	return refuse(fmt.Sprintf("%s is no option of launch", arg), "options come before the script; what follows it is the script's own")
}

func count(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a number from 0 up", value)
	}
	return n, nil
}

func port(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 65535 {
		return 0, fmt.Errorf("%q is no port", value)
	}
	return n, nil
}

// Workers is how many processes PerNode means on a machine with so many logical CPUs and GPUs.
func (i Invocation) Workers(cpus, gpus int) (int, error) {
	switch i.PerNode {
	case "cpu":
		return max(1, cpus), nil
	case "gpu":
		if gpus == 0 {
			return 0, refuse("--nproc-per-node=gpu: this machine has no GPU that can be used", "--nproc-per-node=cpu, or a number")
		}
		return gpus, nil
	case "auto":
		if gpus > 0 {
			return gpus, nil
		}
		return max(1, cpus), nil
	}
	n, err := strconv.Atoi(i.PerNode)
	if err != nil || n < 1 || n > 4096 {
		return 0, refuse(fmt.Sprintf("--nproc-per-node=%s is neither a number from 1 up nor auto, cpu or gpu", i.PerNode), "")
	}
	return n, nil
}

// refuse shows what was typed, but lets none of it move the cursor.
func refuse(message, hint string) error {
	shown := strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, message)
	return &nexus.Error{Code: nexus.CodeInvalid, Message: shown, Hint: hint}
}
