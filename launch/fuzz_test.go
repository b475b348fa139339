package launch

import (
	"errors"
	"strings"
	"testing"

	"ainexus.io/launch/site"
	"ainexus.io/nexus"
)

// Any command line is either read or refused in one line; what is read names something to run and keeps the script's own
// arguments as they are.
func FuzzParseArgs(f *testing.F) {
	for _, line := range []string{
		"--nproc-per-node 4 train.py --lr 0.1", "--nproc_per_node=auto -m pkg.train", "--standalone --no-python ./bin/mnist",
		"-t 0:1,1:2 -r 3 x.py", "--max-restarts 3 -- x.py --", "--nnodes 1:4 x.py", "--master-port 0 x.py", "--", "-", "",
	} {
		f.Add(line, "2")
	}
	f.Fuzz(func(t *testing.T, line, pet string) {
		args := strings.Split(line, " ")
		got, err := ParseArgs(site.Site{}, args, func(name string) string {
			if name == "PET_NPROC_PER_NODE" {
				return pet
			}
			return ""
		})
		if err != nil {
			var refusal *nexus.Error
			if !errors.As(err, &refusal) || refusal.Message == "" || strings.ContainsAny(refusal.Message, "\n\r\x1b") {
				t.Fatalf("%q: %q", args, err)
			}
			return
		}
		if len(got.Options.Command.Argv) == 0 {
			t.Fatalf("%q: nothing to run", args)
		}
		if last := got.Options.Command.Argv[len(got.Options.Command.Argv)-1]; last != args[len(args)-1] {
			t.Fatalf("%q: the last argument became %q", args, last)
		}
	})
}
