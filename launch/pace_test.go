package launch

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ainexus.io/nexus"
)

// Real runs of PyTorch in which one rank takes its time before it meets the others. It is found, whichever it is, and no other one is; when it
// is well again, it is cleared. Looks are more frequent than usual, so that it takes seconds.
func TestASlowRankOfPyTorchIsSuspect(t *testing.T) {
	for _, test := range []struct {
		name    string
		words   []string
		slow    int
		cleared bool
	}{
		{"rank 0", []string{"slow=0", "steps=100000"}, 0, false},
		{"rank 2", []string{"slow=2", "steps=100000"}, 2, false},
		{"rank 1, for a while", []string{"slow=1", "until=150", "steps=100000"}, 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := sdkOrder(t, 3)
			script, err := filepath.Abs("testdata/pace.py")
			if err != nil {
				t.Fatal(err)
			}
			argv := o.Spec.Run.Argv
			o.Spec.Run.Argv = append(argv[:len(argv)-1:len(argv)-1], append([]string{script}, test.words...)...)
			o.Spec.Checkpoint = nil
			r := startAgent(t, o, AgentOptions{Look: 250 * time.Millisecond})
			var suspects []nexus.Suspect
			look := func(want func(list []nexus.Suspect) bool) func() bool {
				return func() bool {
					status, err := r.dir.Status()
					if err != nil {
						return false
					}
					if slices.ContainsFunc(status.Suspects, func(s nexus.Suspect) bool { return s.Rank != test.slow }) {
						t.Fatalf("suspects: %+v", status.Suspects)
					}
					if want(status.Suspects) {
						suspects = status.Suspects
						return true
					}
					return false
				}
			}
			eventually(t, 4*time.Minute, "the slow rank is suspect", look(func(list []nexus.Suspect) bool { return len(list) == 1 }))
			if s := suspects[0]; s.Own < 0.24 || s.Others > s.Own/1.4 {
				t.Errorf("%+v: %s", s, s.Sentence())
			}
			if test.cleared {
				eventually(t, 4*time.Minute, "it is cleared", look(func(list []nexus.Suspect) bool { return len(list) == 0 }))
			}
			if err := r.dir.WriteStop(nexus.StopOrder{Kind: nexus.StopCancel}); err != nil {
				t.Fatal(err)
			}
			if result := ended(t, r); result.Cause != nexus.CauseCancel {
				t.Errorf("%+v", result)
			}
		})
	}
}
