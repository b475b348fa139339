package launch

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"ainexus.io/nexus"
)

// Invocation is a command line in torchrun's form.
type Invocation struct {
	// Options holds what the line says: Command (for `run: a list`), MaxRestarts, RunID, Role, MasterAddr, MasterPort,
	// LogDir (as written), Redirects and Tee. The rest is the caller's to fill in.
	Options Options
	// PerNode is --nproc-per-node: a number, "auto", "cpu" or "gpu"; default "1". See [Invocation.Workers].
	PerNode string
	// Notes are sentences on options that change nothing here.
	Notes []string
}

// option is one of torchrun's options.
type option struct {
	flag bool   // takes no value
	note string // said when it is given; it changes nothing
	set  func(i *Invocation, value string) error
}

// options are torchrun's, by name with dashes. Its short names are spelled out before.
func options() map[string]option {
	quiet := func(*Invocation, string) error { return nil }
	idle := func(why string) option { return option{note: why, set: quiet} }
	return map[string]option{
		"nproc-per-node":   {set: func(i *Invocation, v string) error { i.PerNode = v; return nil }},
		"nnodes":           {set: nodeCount},
		"node-rank":        {set: nodeRank},
		"max-restarts":     {set: func(i *Invocation, v string) (err error) { i.Options.MaxRestarts, err = count(v); return err }},
		"standalone":       {flag: true, set: quiet},
		"module":           {flag: true, set: quiet}, // read by command
		"no-python":        {flag: true, set: quiet},
		"run-path":         {flag: true, set: quiet},
		"role":             {set: func(i *Invocation, v string) error { i.Options.Role = v; return nil }},
		"log-dir":          {set: func(i *Invocation, v string) error { i.Options.LogDir = v; return nil }},
		"redirects":        {set: func(i *Invocation, v string) (err error) { i.Options.Redirects, err = ParseStd(v); return err }},
		"tee":              {set: func(i *Invocation, v string) (err error) { i.Options.Tee, err = ParseStd(v); return err }},
		"master-addr":      {set: func(i *Invocation, v string) error { i.Options.MasterAddr = v; return nil }},
		"local-addr":       {set: func(i *Invocation, v string) error { i.Options.Meet.LocalAddr = v; return nil }},
		"master-port":      {set: func(i *Invocation, v string) (err error) { i.Options.MasterPort, err = port(v); return err }},
		"rdzv-id":          {set: func(i *Invocation, v string) error { i.Options.RunID = v; return nil }},
		"rdzv-backend":     {set: quiet}, // there is one
		"rdzv-endpoint":    {set: endpoint},
		"rdzv-conf":        {set: meetConf},
		"start-method":     idle("workers are programs of their own, however they are started"),
		"monitor-interval": idle("nothing is polled: the end of a worker is noticed at once"),
	}
}

// ParseArgs reads torchrun's command line: options with dashes or underscores, then the script and its arguments.
// PET_<OPTION> variables, found by getenv, count where an option is not given. Errors are [nexus.Error]s.
func ParseArgs(args []string, getenv func(string) string) (Invocation, error) {
	known := options()
	given := map[string]string{}
	rest := args
	for len(rest) > 0 {
		arg := rest[0]
		if arg == "--" {
			rest = rest[1:]
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			break
		}
		name, value, inline := splitOption(arg)
		o, ok := known[name]
		if !ok {
			return Invocation{}, wrongOption(arg, name, known)
		}
		rest = rest[1:]
		switch {
		case o.flag && inline:
			return Invocation{}, refuse(fmt.Sprintf("--%s takes no value", name), "")
		case o.flag:
			value = "1"
		case !inline && len(rest) == 0:
			return Invocation{}, refuse(fmt.Sprintf("--%s needs a value", name), "")
		case !inline:
			value, rest = rest[0], rest[1:]
		}
		given[name] = value
	}
	for name, o := range known {
		value := getenv("PET_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		if _, set := given[name]; !set && value != "" && !(o.flag && value == "0") {
			given[name] = value
		}
	}
	return assemble(given, rest, getenv)
}

// assemble applies the options in a fixed order and makes the command.
func assemble(given map[string]string, rest []string, getenv func(string) string) (Invocation, error) {
	known := options()
	inv := Invocation{PerNode: "1"}
	inv.Options.Meet.Rank = -1
	for _, name := range sortedKeys(given) {
		if err := known[name].set(&inv, given[name]); err != nil {
			return Invocation{}, refuse(fmt.Sprintf("--%s: %v", name, err), "")
		}
		if note := known[name].note; note != "" {
			inv.Notes = append(inv.Notes, fmt.Sprintf("--%s does nothing here: %s", name, note))
		}
	}
	_, module := given["module"]
	_, noPython := given["no-python"]
	argv, err := commandLine(rest, module, noPython, getenv)
	inv.Options.Command = nexus.Command{Argv: argv}
	if err == nil {
		err = inv.meet(given)
	}
	return inv, err
}

// commandLine is what every worker runs: Python for a module or a .py file, any other program as it is.
func commandLine(rest []string, module, noPython bool, getenv func(string) string) ([]string, error) {
	switch {
	case len(rest) == 0:
		return nil, refuse("there is no program to launch", "nexus launch --nproc-per-node 4 train.py")
	case module && noPython:
		return nil, refuse("--module and --no-python contradict each other", "leave one of them out")
	case module:
		return append([]string{python(getenv), "-u", "-m"}, rest...), nil
	case !noPython && strings.HasSuffix(rest[0], ".py"):
		return append([]string{python(getenv), "-u"}, rest...), nil
	}
	return rest, nil
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
	if name == "local-ranks-filter" || name == "numa-binding" || name == "signals-to-handle" {
		return refuse(fmt.Sprintf("--%s of torchrun is not there yet", name), "leave it out")
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
