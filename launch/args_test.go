package launch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/nexus"
)

func TestTorchrunsCommandLine(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "python3"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PATH": bin}
	parse := func(line string) (Invocation, error) {
		return ParseArgs(strings.Fields(line), func(key string) string { return env[key] })
	}
	for _, test := range []struct {
		line, argv, perNode string
	}{
		{"train.py --lr 0.1", "python3 -u train.py --lr 0.1", "1"},
		{"--nproc_per_node=4 train.py", "python3 -u train.py", "4"},
		{"--nproc-per-node auto --standalone --nnodes=1 train.py --nnodes 7", "python3 -u train.py --nnodes 7", "auto"},
		{"--nnodes 1:1 -m pkg.train --x", "python3 -u -m pkg.train --x", "1"},
		{"--no-python ./mnist -epochs 2", "./mnist -epochs 2", "1"},
		{"--no_python train.py", "train.py", "1"},
		{"./mnist", "./mnist", "1"},
		{"--rdzv_backend=c10d --rdzv-endpoint=localhost:0 --monitor_interval 5 train.py", "python3 -u train.py", "1"},
		{"-r 3 -t=0:1,1:2 --log-dir /logs -- train.py", "python3 -u train.py", "1"},
	} {
		inv, err := parse(test.line)
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		if got := strings.Join(inv.Options.Command.Argv, " "); got != test.argv || inv.PerNode != test.perNode {
			t.Errorf("%s: %s, %s per node", test.line, got, inv.PerNode)
		}
	}

	inv, err := parse("--max-restarts 3 --rdzv-id run7 --role trainer --master-port 0 --master-addr localhost --monitor-interval=1 -r3 x.py")
	o := inv.Options
	if err != nil || o.MaxRestarts != 3 || o.RunID != "run7" || o.Role != "trainer" || o.MasterAddr != "localhost" || o.Redirects.of(5) != 3 || len(inv.Notes) != 1 {
		t.Errorf("%+v %v", inv, err)
	}

	env["PET_NPROC_PER_NODE"], env["PET_MAX_RESTARTS"] = "2", "9"
	if inv, err := parse("--max-restarts=1 x.py"); err != nil || inv.PerNode != "2" || inv.Options.MaxRestarts != 1 {
		t.Errorf("PET_ variables: %+v %v", inv, err)
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, test := range []struct{ line, message, hint string }{
		{"", "there is no program to launch", "nexus launch"},
		{"--nnodes=2 x.py", "--nnodes 2 needs a place to meet", "--rdzv-endpoint HOST"},
		{"--nnodes=3:2 x.py", `"3:2" is neither a number of nodes nor MIN:MAX`, ""},
		{"--nnodes=2 --standalone x.py", "--standalone is one node", ""},
		{"--nnodes=2 --rdzv-endpoint h --node-rank 2 x.py", "--node-rank 2 is not below the number of nodes", ""},
		{"--nnodes=2 --rdzv-endpoint http://h x.py", `"http://h" is no HOST or HOST:PORT`, ""},
		{"--nnodes=2 --rdzv-endpoint h --rdzv-conf foo=1 x.py", "foo: there is no such setting", ""},
		{"--nnodes=2 --rdzv-endpoint h --rdzv-conf join_timeout=soon x.py", `join_timeout: "soon" is no time`, ""},
		{"--nnodes=two x.py", `--nnodes: "two" is neither`, ""},
		{"--node-rank 1 x.py", "--node-rank", ""},
		{"--nproc x.py", "--nproc is no option of launch", "--nproc-per-node"},
		{"--frobnicate x.py", "--frobnicate is no option", "options come before the script"},
		{"--max-restarts", "--max-restarts needs a value", ""},
		{"--max-restarts -1 x.py", "is not a number from 0 up", ""},
		{"--master-port 70000 x.py", "is no port", ""},
		{"--standalone=yes x.py", "--standalone takes no value", ""},
		{"-t 5 x.py", `--tee: "5" is neither`, ""},
		{"-t 0:1,x x.py", "is neither 0, 1, 2 or 3 nor a list", ""},
		{"-m --no-python x", "contradict each other", ""},
		{"--numa-binding node x.py", "is not there yet", "leave it out"},
	} {
		_, err := ParseArgs(strings.Fields(test.line), func(string) string { return "" })
		var refusal *nexus.Error
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, test.message) || !strings.Contains(refusal.Hint, test.hint) {
			t.Errorf("%s: %+v", test.line, err)
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
