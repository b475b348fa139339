package launch

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ainexus.io/c10d"
	"ainexus.io/launch/site"
	"ainexus.io/nexus"
)

// told are what the options of a command line come to, in one line: what differs from none.
func told(inv Invocation) string {
	o, m := inv.Options, inv.Options.Meet
	var parts []string
	say := func(unless bool, format string, args ...any) {
		if !unless {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(false, "%s", strings.Join(o.Command.Argv, " "))
	say(inv.PerNode == "1", "workers %s", inv.PerNode)
	say(m.Endpoint == "", "%d:%d nodes at %s", m.Min, m.Max, m.Endpoint)
	say(m.Rank < 0, "node %d", m.Rank)
	say(o.RunID == "", "id %s", o.RunID)
	say(o.MaxRestarts == 0, "restarts %d", o.MaxRestarts)
	say(o.Role == "", "role %s", o.Role)
	say(o.MasterAddr == "" && o.MasterPort == 0, "master %s:%d", o.MasterAddr, o.MasterPort)
	say(m.LocalAddr == "", "local %s", m.LocalAddr)
	say(o.LogDir == "", "logs %s", o.LogDir)
	say(o.Grace == 0, "grace %s", o.Grace)
	say(o.LogSize == 0, "%d bytes each", o.LogSize)
	say(o.LogFiles == 0, "%d files", o.LogFiles)
	say(!o.Redirects.given, "redirects %d %d", o.Redirects.of(0), o.Redirects.of(1))
	say(!o.Tee.given, "tee %d %d", o.Tee.of(0), o.Tee.of(1))
	say(o.Show == nil, "shown %v", o.Show)
	say(o.Binding == bindNothing, "binding %d", o.Binding)
	say(slices.Equal(inv.Signals, defaultSignals()), "signals %v", inv.Signals)
	say(o.Store == c10d.Limits{}, "store %v", o.Store)
	say(m.LastCall == 0, "last call %s", m.LastCall)
	say(len(inv.Notes) == 0, "notes %d", len(inv.Notes))
	return strings.Join(parts, "; ")
}

// pythonOnly is an environment whose PATH has python3 and ./mnist's like, and the working directory of some scripts.
func pythonOnly(t *testing.T) map[string]string {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "python3"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, mode := range map[string]os.FileMode{"script": 0o644, "tool": 0o755, "python3": 0o755} {
		if err := os.WriteFile(name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("package", 0o755); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"PATH": bin}
}

// What torchrun's command lines come to. Where nothing is said of it, dashes and underscores are the same.
func TestTorchrunsCommandLine(t *testing.T) {
	env := pythonOnly(t)
	for _, test := range []struct{ line, want string }{
		// What runs.
		{"train.py --lr 0.1", "python3 -u train.py --lr 0.1"},
		{"-m pkg.train --x", "python3 -u -m pkg.train --x"},
		{"--module pkg.train -m", "python3 -u -m pkg.train -m"},
		{"--no-python ./mnist -epochs 2", "./mnist -epochs 2"},
		{"--no_python train.py", "train.py"},
		{"./mnist", "./mnist"},
		{"./tool", "./tool"},
		{"./script", "python3 -u ./script"},
		{"script", "python3 -u script"},
		{"tool", "python3 -u tool"}, // lies here, not on the PATH: torchrun runs it so
		{"python3 x", "python3 x"},
		{"./package", "python3 -u ./package"},
		{"--no-python script", "script"},
		{"--run-path train", "python3 -u train"},
		{"--run_path ./tool", "python3 -u ./tool"},
		{"job.pyz", "python3 -u job.pyz"},
		{"-- train.py --nnodes 2", "python3 -u train.py --nnodes 2"},
		// One node.
		{"--nproc_per_node=4 train.py", "python3 -u train.py; workers 4"},
		{"--nproc-per-node auto --standalone --nnodes=1 train.py --nnodes 7", "python3 -u train.py --nnodes 7; workers auto"},
		{"--nproc-per-node gpu --nproc-per-node cpu train.py", "python3 -u train.py; workers cpu"},
		{"--nnodes 1:1 --node-rank 0 train.py", "python3 -u train.py; node 0"},
		{"--rdzv_backend=c10d --rdzv-endpoint=localhost:0 --monitor_interval 5 train.py", "python3 -u train.py; notes 1"},
		{"--master-addr 10.0.0.1 --master_port 1234 train.py", "python3 -u train.py; master 10.0.0.1:1234"},
		{"--max-restarts 3 --role trainer --rdzv-id 7 train.py", "python3 -u train.py; id 7; restarts 3; role trainer"},
		{"--start_method fork --event-log-handler null --logs-specs default --use_env train.py", "python3 -u train.py; notes 4"},
		// Several.
		{"--nnodes 2 --rdzv-endpoint n1 train.py", "python3 -u train.py; 2:2 nodes at n1:29400"},
		{"--nnodes=1:4 --rdzv_endpoint n1:1234 --rdzv_id job7 --rdzv-conf last_call_timeout=9,join_timeout=60 train.py",
			"python3 -u train.py; 1:4 nodes at n1:1234; id job7; last call 9s"},
		{"--nnodes 2 --node_rank 1 --master_addr n1 --master_port 29600 --local-addr 10.0.0.2 train.py",
			"python3 -u train.py; 2:2 nodes at n1:29400; node 1; master n1:29600; local 10.0.0.2"},
		{"--rdzv-backend static --nnodes 2 --rdzv-endpoint [fd00::1]:29500 train.py", "python3 -u train.py; 2:2 nodes at [fd00::1]:29500"},
		{"--rdzv-conf store_value_limit=64MiB,store_key_limit=100,store_keys_limit=5,store_memory_limit=2GiB train.py",
			"python3 -u train.py; store {100 67108864 0 5 2147483648 0}"},
		// What is kept and shown.
		{"-r 3 -t=0:1,1:2 --log-dir /logs -- train.py", "python3 -u train.py; logs /logs; redirects 3 3; tee 1 2"},
		{"-r3 -t 1 train.py", "python3 -u train.py; redirects 3 3; tee 1 1"},
		{"--redirects 0:3 --tee=1:2 --log_dir=/l train.py", "python3 -u train.py; logs /l; redirects 3 0; tee 0 2"},
		{"--log-dir l --log-max-size 16MiB --log-max-files=5 train.py", "python3 -u train.py; logs l; 16777216 bytes each; 5 files"},
		{"--shutdown-timeout 600 train.py", "python3 -u train.py; grace 10m0s"},
		{"--shutdown_timeout=0 train.py", "python3 -u train.py; grace 1ns"},
		{"--log_max_size=0 train.py", "python3 -u train.py; -1 bytes each"},
		{"--local-ranks-filter 0,2 train.py", "python3 -u train.py; shown [0 2]"},
		{"--local_ranks_filter=1 train.py", "python3 -u train.py; shown [1]"},
		{"--numa-binding exclusive train.py", "python3 -u train.py; binding 3"},
		{"--numa_binding=core-complex train.py", "python3 -u train.py; binding 4"},
		{"--signals-to-handle SIGTERM,usr1,SIGWINCH train.py", "python3 -u train.py; signals [interrupt terminated user defined signal 1 user defined signal 2 window changed]"},
	} {
		inv, err := ParseArgs(site.Site{}, strings.Fields(test.line), func(key string) string { return env[key] })
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
		} else if got := told(inv); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.line, got, test.want)
		}
	}
}

// Every option of torchrun can be given by its variable, which the command line overrides.
func TestVariablesOfOptions(t *testing.T) {
	env := pythonOnly(t)
	values := map[string]string{
		"nproc-per-node": "3", "nnodes": "2", "node-rank": "1", "max-restarts": "4", "role": "r", "log-dir": "/logs", "redirects": "1", "tee": "2",
		"local-ranks-filter": "0", "master-addr": "n1", "local-addr": "n2", "master-port": "7", "rdzv-id": "id", "rdzv-backend": "c10d",
		"rdzv-endpoint": "n3", "rdzv-conf": "last_call_timeout=1", "signals-to-handle": "SIGWINCH", "numa-binding": "node",
		"start-method": "spawn", "monitor-interval": "0.1", "event-log-handler": "null", "logs-specs": "default",
		"shutdown-timeout": "90", "log-max-size": "16MiB", "log-max-files": "5",
	}
	for name, o := range options() {
		value, ok := values[name]
		if !ok && !o.flag {
			t.Errorf("no value for %s", name)
		}
		if o.flag {
			value = "1"
		}
		line := []string{"--" + name + "=" + value, "--nnodes=2", "--rdzv-endpoint=n9", "x.py"}
		switch {
		case name == "nnodes":
			line = []string{"--nnodes=2", "--rdzv-endpoint=n9", "x.py"}
		case name == "standalone":
			line = []string{"--standalone", "x.py"}
		case o.flag:
			line[0] = "--" + name
		}
		want, err := ParseArgs(site.Site{}, line, func(key string) string { return env[key] })
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		with := maps.Clone(env)
		with["PET_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
		got, err := ParseArgs(site.Site{}, slices.DeleteFunc(slices.Clone(line), func(arg string) bool { return strings.HasPrefix(arg, "--"+name) }),
			func(key string) string { return with[key] })
		if err != nil || name != "rdzv-endpoint" && told(got) != told(want) {
			t.Errorf("PET_ of %s: %v\n got %s\nwant %s", name, err, told(got), told(want))
		}
	}
	env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = "7"
	for value, want := range map[string]string{"": "grace 7s", "8": "grace 8s"} {
		env["PET_SHUTDOWN_TIMEOUT"] = value
		inv, err := ParseArgs(site.Site{}, []string{"x.py"}, func(key string) string { return env[key] })
		if err != nil || told(inv) != "python3 -u x.py; "+want {
			t.Errorf("PET_SHUTDOWN_TIMEOUT %q: %s %v", value, told(inv), err)
		}
	}
	delete(env, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT")
	delete(env, "PET_SHUTDOWN_TIMEOUT")
	env["PET_NPROC_PER_NODE"], env["PET_MAX_RESTARTS"], env["PET_NO_PYTHON"], env["PET_STANDALONE"] = "2", "1", "0", "1"
	inv, err := ParseArgs(site.Site{}, []string{"--max-restarts=5", "x.py"}, func(key string) string { return env[key] })
	if got := told(inv); err != nil || got != "python3 -u x.py; workers 2; restarts 5" {
		t.Errorf("the command line and the variables: %s %v", got, err)
	}
}

// What the site says counts where neither the line nor a variable does.
func TestTheSiteAndTheCommandLine(t *testing.T) {
	env := pythonOnly(t)
	srun := site.Site{By: "SLURM", Nodes: 2, Rank: 1, Master: "n1", RunID: "slurm-7", Tasks: 1}
	crowd := srun
	crowd.Tasks, crowd.First, crowd.Remedy = 4, true, "one each"
	noMaster := site.Site{By: "OpenMPI", Nodes: 2, Rank: 1, Tasks: 1}
	pod := site.Site{By: "Kubernetes", Rank: 2, Master: "job-0.svc", RunID: "job"}
	for _, test := range []struct {
		story  string
		at     site.Site
		line   string
		want   string
		refuse string
	}{
		{story: "all from SLURM", at: srun, line: "x.py", want: "python3 -u x.py; 2:2 nodes at n1:29400; node 1; id slurm-7; notes 1"},
		{story: "the line wins", at: srun, line: "--rdzv-endpoint n9:5 --rdzv-id mine x.py", want: "python3 -u x.py; 2:2 nodes at n9:5; node 1; id mine; notes 1"},
		{story: "own ranks", at: srun, line: "--node-rank 0 x.py", want: "python3 -u x.py; 2:2 nodes at n1:29400; node 0; id slurm-7; notes 1"},
		{story: "elastic within the site", at: srun, line: "--nnodes 1:2 x.py", want: "python3 -u x.py; 1:2 nodes at n1:29400; node 1; id slurm-7; notes 1"},
		{story: "another number of nodes: SLURM's ranks mean nothing", at: srun, line: "--nnodes 3 x.py", want: "python3 -u x.py; 3:3 nodes at n1:29400; id slurm-7; notes 1"},
		{story: "one node is wanted", at: srun, line: "--nnodes 1 x.py", want: "python3 -u x.py"},
		{story: "standalone", at: crowd, line: "--standalone x.py", want: "python3 -u x.py"},
		{story: "one node is there", at: site.Site{By: "SLURM", Nodes: 1, Tasks: 1}, line: "x.py", want: "python3 -u x.py"},
		{story: "several tasks", at: crowd, line: "x.py", refuse: "SLURM started 4 launchers on this node"},
		{story: "several tasks, and it is meant", at: crowd, line: "--nnodes 8 --rdzv-endpoint n1 x.py", want: "python3 -u x.py; 8:8 nodes at n1:29400; id slurm-7; notes 1"},
		{story: "several tasks, half meant", at: crowd, line: "--nnodes 8 x.py", refuse: "SLURM started 4 launchers on this node"},
		{story: "no master", at: noMaster, line: "x.py", refuse: "OpenMPI started 2 nodes, but does not say where the first one is"},
		{story: "the master is said", at: noMaster, line: "--master-addr n1 x.py", want: "python3 -u x.py; 2:2 nodes at n1:29400; node 1; master n1:0; notes 1"},
		{story: "a pod that knows not of how many", at: pod, line: "x.py", want: "python3 -u x.py; notes 1"},
		{story: "a pod that is told", at: pod, line: "--nnodes 4 x.py", want: "python3 -u x.py; 4:4 nodes at job-0.svc:29400; node 2; id job; notes 1"},
		{story: "a pod beyond the number", at: pod, line: "--nnodes 2 x.py", refuse: "node-rank 2 is not below"},
		{story: "contradictions", at: site.Site{By: "environment", Problem: errors.New("no sense")}, line: "x.py", refuse: "no sense"},
		{story: "contradictions that do not matter", at: site.Site{By: "environment", Problem: errors.New("no sense")}, line: "--standalone x.py", want: "python3 -u x.py"},
		{story: "sbatch without srun", at: site.Site{First: true, Warning: "two nodes"}, line: "x.py", want: "python3 -u x.py; notes 1"},
	} {
		inv, err := ParseArgs(test.at, strings.Fields(test.line), func(key string) string { return env[key] })
		switch {
		case test.refuse != "":
			if err == nil || !strings.Contains(err.Error(), test.refuse) {
				t.Errorf("%s: %v, want %q", test.story, err, test.refuse)
			}
		case err != nil:
			t.Errorf("%s: %v", test.story, err)
		case told(inv) != test.want:
			t.Errorf("%s:\n got %s\nwant %s", test.story, told(inv), test.want)
		}
	}
	crowd.First = false
	if _, err := ParseArgs(crowd, []string{"x.py"}, func(string) string { return "" }); !errors.Is(err, ErrOtherTells) {
		t.Errorf("of many launchers one says what is wrong, but another says %v", err)
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, test := range []struct{ line, message, hint string }{
		{"", "there is no program to launch", "nexus launch"},
		{"--nnodes=2 x.py", "--nnodes 2 needs a place to meet", "--rdzv-endpoint"},
		{"--nnodes=2 --rdzv-endpoint http://h x.py", `"http://h" is no HOST or HOST:PORT`, ""},
		{"--nnodes=2 --rdzv-endpoint h --rdzv-conf foo=1 x.py", "foo: there is no such setting", ""},
		{"--nnodes=2 --rdzv-endpoint h --rdzv-conf join_timeout=soon x.py", `join_timeout: "soon" is no time`, ""},
		{"--nnodes=two x.py", `--nnodes: "two" is neither`, ""},
		{"--nnodes=3:2 x.py", `--nnodes: "3:2" is neither`, ""},
		{"--nnodes=0 x.py", `--nnodes: "0" is neither`, ""},
		{"--node-rank 1 x.py", "--node-rank", ""},
		{"--nnodes 2 --rdzv-endpoint n1 --node-rank 2 x.py", "not below the number of nodes", ""},
		{"--nnodes 2 --standalone x.py", "--standalone is one node", ""},
		{"--nproc x.py", "--nproc is no option of launch", "--nproc-per-node"},
		{"--frobnicate x.py", "--frobnicate is no option", "options come before the script"},
		{"-x x.py", "-x is no option", "options come before the script"},
		{"--max-restarts", "--max-restarts needs a value", ""},
		{"--max-restarts --standalone x.py", "--max-restarts needs a value", ""},
		{"--max-restarts -1 x.py", "is not a number from 0 up", ""},
		{"--master-port 70000 x.py", "is no port", ""},
		{"--standalone=yes x.py", "--standalone takes no value", ""},
		{"-t 5 x.py", `--tee: "5" is neither`, ""},
		{"-t 0:1,x x.py", "is neither 0, 1, 2 or 3 nor a list", ""},
		{"-m --no-python x", "contradict each other", ""},
		{"--run-path -m x", "--run-path takes a Python script", ""},
		{"--numa-binding nodes x.py", `"nodes" is neither node nor socket`, ""},
		{"--signals-to-handle SIGFOO x.py", `"SIGFOO" is no signal`, ""},
		{"--signals-to-handle SIGKILL x.py", "nobody can handle SIGKILL", ""},
		{"--shutdown-timeout -1 x.py", "is no time", ""},
		{"--log-max-size 8MB x.py", "is no size such as", ""},
		{"--log-max-files 0 x.py", "is not a number from 1 up", ""},
		{"--local-ranks-filter a x.py", "no list of local ranks", ""},
		{"--rdzv-backend etcd --rdzv-endpoint etcd:2379 x.py", `--rdzv-backend: "etcd": the agents meet at one of the nodes`, ""},
		{"--rdzv-conf frobnicate=1 x.py", "there is no such setting", ""},
		{"--rdzv-conf store_value_limit=8MB x.py", "is no size such as", ""},
		{"--rdzv-conf store_keys_limit=0 x.py", "is not a number from 1 up", ""},
		{"--rdzv-endpoint http://n1 x.py", "--rdzv-endpoint", ""},
		{"--monitor-interval soon x.py", "no number of seconds", ""},
		{"--start-method thread x.py", "neither spawn nor fork", ""},
		{"--logs-specs mine x.py", "a class of torchrun's", ""},
		{"--virtual-local-rank x.py", "is not here", "LOCAL_RANK"},
		{"PET_NNODES=many x.py", `PET_NNODES: "many" is neither`, ""},
		{"PET_STANDALONE=true x.py", `PET_STANDALONE is "true"; it is 1 or 0`, ""},
	} {
		env := map[string]string{}
		args := strings.Fields(test.line)
		if key, value, ok := strings.Cut(test.line, "="); ok && strings.HasPrefix(key, "PET_") {
			env[key], args = strings.Fields(value)[0], args[1:]
		}
		_, err := ParseArgs(site.Site{}, args, func(key string) string { return env[key] })
		var refusal *nexus.Error
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, test.message) || !strings.Contains(refusal.Hint, test.hint) {
			t.Errorf("%s: %+v", test.line, err)
		} else if strings.Contains(refusal.Message, "\n") {
			t.Errorf("%s: more than a line: %q", test.line, refusal.Message)
		}
	}
}

func TestWorkersPerNode(t *testing.T) {
	for _, test := range []struct {
		perNode    string
		cpus, gpus int
		want       int
	}{{"4", 2, 0, 4}, {"auto", 2, 0, 2}, {"auto", 2, 8, 8}, {"cpu", 2, 8, 2}, {"gpu", 2, 8, 8}, {"gpu", 2, 0, 0}, {"many", 1, 1, 0}, {"0", 1, 1, 0}} {
		got, err := Invocation{PerNode: test.perNode}.Workers(test.cpus, test.gpus)
		if got != test.want || (err == nil) != (test.want > 0) {
			t.Errorf("%+v: %d %v", test, got, err)
		}
	}
}

func TestWhatIsAPlainCommand(t *testing.T) {
	for line, want := range map[string]bool{
		"python train.py --lr=0.1": true, "./bin/mnist": true, "  true-ish -x  ": true,
		"python train.py | tee log": false, "A=1 python x.py": false, "cd x": false, "exec python x.py": false, "echo hi": false,
		"python $SCRIPT": false, "python 'a b'": false, "python *.py": false, "a; b": false, "a\nb": false, "~/x": false, "": false, "a &": false,
		"if": false, "x #y": false, "python ${A}": false, "a > b": false, "[ -e x ]": false, "größe": false,
	} {
		if _, ok := plainWords(line); ok != want {
			t.Errorf("%q: %v", line, ok)
		}
	}
}
