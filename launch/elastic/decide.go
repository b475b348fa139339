package elastic

import (
	"fmt"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// State is what one round hands to the next.
type State struct {
	Round        int // number of the round that ran, from 0
	RestartsLeft int
	Streak       int // restarts in a row that did not last; decides how long to wait
}

// Ending is how a round ended.
type Ending struct {
	OK     bool          // every worker exited with 0
	Cause  nexus.Cause   // where it is not OK
	Lasted time.Duration // how long the round ran
}

// Backoff is how long to wait before a restart: First, then twice as long each time, at most Cap. The first Free of those in a row
// that did not last come without a wait.
type Backoff struct {
	First, Cap time.Duration
	Free       int
}

// DefaultBackoff waits 1, 2, 4 .. 30 seconds.
func DefaultBackoff() Backoff { return Backoff{First: time.Second, Cap: 30 * time.Second} }

// Decision is what to do next.
type Decision struct {
	Again bool          // begin another round, after Wait
	Wait  time.Duration // where Again
	Next  State         // where Again
	// Because says why there is no other round, as a clause; empty where the ending says it all.
	Because string
}

// steady is how many times Cap a round has to last to be worth a fresh start of the backoff.
const steady = 10

// Decide says what follows an ending. Causes that the budget does not pay for end the attempt: whether there is
// another attempt is the engine's to decide.
func Decide(s State, e Ending, restart nexus.Restart, backoff Backoff) Decision {
	switch {
	case e.OK || !e.Cause.Charged():
		return Decision{}
	case e.Cause == nexus.CauseOOM && restart.Grow > 0 && slices.Contains(restart.On, e.Cause) && s.RestartsLeft > 0:
		return Decision{} // more memory takes another allocation, which is the engine's to make
	case !answered(restart.On, e.Cause):
		return Decision{Because: fmt.Sprintf("the job is not restarted on %s", e.Cause)}
	case s.RestartsLeft <= 0 && s.Round > 0:
		return Decision{Because: "no restart is left"}
	case s.RestartsLeft <= 0:
		return Decision{}
	}
	if e.Lasted >= steady*backoff.Cap {
		s.Streak = 0
	}
	return Decision{
		Again: true,
		Wait:  backoff.wait(s.Streak),
		Next:  State{Round: s.Round + 1, RestartsLeft: s.RestartsLeft - 1, Streak: s.Streak + 1},
	}
}

// answered reports whether a job is restarted on a cause. Running out of memory is an exit to who does not name it.
func answered(on []nexus.Cause, cause nexus.Cause) bool {
	return slices.Contains(on, cause) || cause == nexus.CauseOOM && slices.Contains(on, nexus.CauseExit)
}

func (b Backoff) wait(streak int) time.Duration {
	if streak < b.Free {
		return 0
	}
	wait := b.First
	for range streak - b.Free {
		if wait >= b.Cap {
			break
		}
		wait *= 2
	}
	return min(wait, b.Cap)
}
