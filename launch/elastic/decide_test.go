package elastic

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
	"pgregory.net/rapid"
)

func everything() nexus.Restart {
	return nexus.Restart{Max: 3, On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}}
}

// The story of an attempt with three restarts, in virtual time.
func TestAnAttemptFromItsFirstFailureToItsLast(t *testing.T) {
	endings := []Ending{
		{Cause: nexus.CauseExit, Lasted: time.Second},
		{Cause: nexus.CauseHang, Lasted: time.Minute},
		{Cause: nexus.CauseExit, Lasted: time.Hour}, // lasted: the wait begins anew
		{Cause: nexus.CauseExit, Lasted: time.Second},
	}
	var told strings.Builder
	state := State{RestartsLeft: 3}
	for _, e := range endings {
		d := Decide(state, e, everything(), DefaultBackoff())
		fmt.Fprintf(&told, "round %d %s after %s: again %v, wait %s, left %d %s\n",
			state.Round, e.Cause, e.Lasted, d.Again, d.Wait, d.Next.RestartsLeft, d.Because)
		state = d.Next
	}
	want := `round 0 exit after 1s: again true, wait 1s, left 2 
round 1 hang after 1m0s: again true, wait 2s, left 1 
round 2 exit after 1h0m0s: again true, wait 1s, left 0 
round 3 exit after 1s: again false, wait 0s, left 0 no restart is left
`
	if told.String() != want {
		t.Errorf("got:\n%swant:\n%s", told.String(), want)
	}
}

func TestWhatIsNotAnsweredByAnotherRound(t *testing.T) {
	plenty := State{RestartsLeft: 5}
	for _, test := range []struct {
		name    string
		ending  Ending
		on      []nexus.Cause
		because string
	}{
		{"success", Ending{OK: true}, everything().On, ""},
		{"a cancel", Ending{Cause: nexus.CauseCancel}, everything().On, ""},
		{"a preemption is the engine's", Ending{Cause: nexus.CausePreempt}, everything().On, ""},
		{"setup fails again", Ending{Cause: nexus.CauseSetup}, everything().On, ""},
		{"the time is up", Ending{Cause: nexus.CauseTimeout}, everything().On, ""},
		{"not in restart.on", Ending{Cause: nexus.CauseHang}, []nexus.Cause{nexus.CauseExit}, "the job is not restarted on hang"},
	} {
		d := Decide(plenty, test.ending, nexus.Restart{Max: 5, On: test.on}, DefaultBackoff())
		if d.Again || d.Because != test.because {
			t.Errorf("%s: %+v", test.name, d)
		}
	}
}

func TestTheWaitDoublesUpToItsCap(t *testing.T) {
	b := DefaultBackoff()
	for streak, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		if got := b.wait(streak); got != want*time.Second {
			t.Errorf("after %d restarts: %s, want %ds", streak, got, want)
		}
	}
	b.Free = 2
	for streak, want := range []time.Duration{0, 0, 1, 2} {
		if got := b.wait(streak); got != want*time.Second {
			t.Errorf("two of them free, after %d restarts: %s, want %ds", streak, got, want)
		}
	}
	if got := b.wait(1 << 30); got != b.Cap {
		t.Errorf("a long streak waits %s", got)
	}
}

// Law: whatever ends, in whatever order, there are no more restarts than the budget has.
func TestTheBudgetIsNeverOverdrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := rapid.IntRange(0, 6).Draw(t, "budget")
		state, restarts := State{RestartsLeft: budget}, 0
		for {
			e := Ending{
				OK: rapid.IntRange(0, 20).Draw(t, "ok") == 0,
				Cause: rapid.SampledFrom([]nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode,
					nexus.CausePreempt, nexus.CauseCancel, nexus.CauseTimeout, nexus.CauseSetup}).Draw(t, "cause"),
				Lasted: time.Duration(rapid.IntRange(0, 7200).Draw(t, "seconds")) * time.Second,
			}
			d := Decide(state, e, everything(), DefaultBackoff())
			if !d.Again {
				break
			}
			restarts++
			if d.Wait < 0 || d.Wait > 30*time.Second {
				t.Fatalf("waits %s", d.Wait)
			}
			if d.Next.Round != restarts || d.Next.RestartsLeft != budget-restarts {
				t.Fatalf("after %d restarts of %d: %+v", restarts, budget, d.Next)
			}
			state = d.Next
		}
		if restarts > budget {
			t.Fatalf("%d restarts, the budget was %d", restarts, budget)
		}
	})
}
