package elastic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ainexus.io/nexus"
	"pgregory.net/rapid"
)

// chaos is a world in which delays are random and everything happens to everybody.
func chaos(t *rapid.T) *world {
	set := Defaults()
	set.Min = rapid.IntRange(1, 3).Draw(t, "min")
	set.Max = rapid.IntRange(max(2, set.Min), 5).Draw(t, "max")
	set.Budget = rapid.IntRange(0, 3).Draw(t, "budget")
	set.Restart = nexus.Restart{Max: set.Budget, On: []nexus.Cause{nexus.CauseExit}}
	set.Backoff = Backoff{First: 100 * time.Millisecond, Cap: time.Second}
	set.LastCall = time.Second
	w := newWorld(set)
	w.anyone = rapid.Bool().Draw(t, "one machine")
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "delays"), 1))
	w.pick = func(low, high time.Duration) time.Duration {
		return low + time.Duration(random.Int64N(int64(high-low)))
	}
	return w
}

// Whatever dies, leaves, fails or is cut off, in whatever order: two rounds never run at one time, a number is one
// round, ranks are a permutation, and the budget is not overdrawn.
func TestLawsOfTheMeeting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := chaos(t)
		names := []string{"a", "b", "c", "d", "e"}[:rapid.IntRange(2, 5).Draw(t, "agents")]
		for _, name := range names {
			w.start(name, 0)
		}
		steps := rapid.IntRange(1, 25).Draw(t, "steps")
		for range steps {
			w.run(w.now + time.Duration(rapid.IntRange(1, 8000).Draw(t, "ms"))*time.Millisecond)
			name := rapid.SampledFrom(names).Draw(t, "who")
			switch rapid.SampledFrom([]string{"kill", "fail", "fail", "split", "split", "heal", "leave", "start", "start", "succeed"}).Draw(t, "what") {
			case "kill":
				w.kill(name)
			case "fail":
				w.fail(name)
			case "leave":
				w.leave(name)
			case "succeed":
				w.succeed(name)
			case "split":
				if w.anyone { // one machine is whole
					continue
				}
				sides := map[string]int{}
				for _, n := range names {
					sides[n] = rapid.IntRange(0, 2).Draw(t, "side")
				}
				w.say("split %v", sides)
				w.split(sides)
			case "heal":
				w.say("healed")
				w.split(map[string]int{})
			case "start":
				if old := w.hosts[name]; !old.alive {
					// Who is new cannot know of a round whose agents it does not hear.
					w.split(map[string]int{})
					w.run(w.now + 5*time.Second)
					again := name + "'"
					names[slices.Index(names, name)] = again
					w.start(again, 0)
					w.run(w.now + 5*time.Second)
				}
			}
		}
		w.run(w.now + 30*time.Second)
		if len(w.broken) > 0 {
			t.Fatalf("%s\n%v", w.log.String(), w.broken)
		}
	})
}

// A job of three or more, of which one node at a time dies and comes back, goes on to its end, whoever led.
func TestOneLossAtATimeIsSurvived(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := chaos(t)
		w.anyone = true
		n := rapid.IntRange(2, 5).Draw(t, "agents")
		w.set.Min, w.set.Max = 1, n
		names := []string{"a", "b", "c", "d", "e"}[:n]
		for _, name := range names {
			w.start(name, 0)
		}
		w.run(10 * time.Second)
		for range rapid.IntRange(1, 6).Draw(t, "losses") {
			i := rapid.IntRange(0, n-1).Draw(t, "who")
			cut := rapid.Bool().Draw(t, "cut off") && n > 2
			if cut {
				w.split(map[string]int{names[i]: 1})
			} else {
				w.kill(names[i])
			}
			w.run(w.now + 20*time.Second)
			together(t, w, n-1)
			if cut {
				w.split(map[string]int{})
			} else {
				names[i] += "'"
				w.start(names[i], 0)
			}
			w.run(w.now + 20*time.Second + time.Minute)
			together(t, w, n)
		}
		for _, name := range names {
			w.succeed(name)
		}
		w.run(w.now + 10*time.Second)
		for _, name := range names {
			if h := w.hosts[name]; h.done == nil || !h.done.OK {
				t.Fatalf("%s does not end well\n%s", name, w.log.String())
			}
		}
		if len(w.broken) > 0 {
			t.Fatalf("%s\n%v", w.log.String(), w.broken)
		}
	})
}

// together wants so many agents to run one round.
func together(t *rapid.T, w *world, n int) {
	count := map[int]int{}
	for _, name := range w.names() {
		if h := w.hosts[name]; h.alive && h.running != nil && !h.closing {
			count[h.running.Number]++
		}
	}
	if len(count) == 1 {
		for number, have := range count {
			if have == n && len(w.hosts) > 0 && number >= 0 {
				return
			}
		}
	}
	t.Fatalf("at %s it is not %d agents that run one round, but %v\n%s", w.now, n, count, w.log.String())
}

// Ranks are a permutation, survivors keep theirs where that can be, and wishes that do not collide come true.
func TestSeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := make([]Agent, 8)
		for i := range pool {
			pool[i] = Agent{ID: fmt.Sprint("n", i), Workers: 1}
		}
		last := &Record{Agents: rapid.Permutation(pool).Draw(t, "last")[:rapid.IntRange(0, 8).Draw(t, "before")]}
		present := rapid.Permutation(pool).Draw(t, "present")[:rapid.IntRange(1, 8).Draw(t, "after")]
		lead := rapid.SampledFrom(present).Draw(t, "lead").ID
		seats := Seats(last, present, lead)
		if len(seats) != len(present) {
			t.Fatal("not everybody has a seat")
		}
		for _, a := range present {
			if !slices.ContainsFunc(seats, func(s Agent) bool { return s.ID == a.ID }) {
				t.Fatalf("%s has no seat", a.ID)
			}
			if rank := last.Rank(a.ID); rank >= 0 && rank < len(seats) && seats[rank].ID != a.ID {
				t.Fatalf("%s had rank %d and lost it", a.ID, rank)
			}
		}
	})
}

// Two groups that share nobody are never both enough, unless each has seen the other die.
func TestOneQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		var of []Agent
		left := map[string]bool{}
		for i := range n {
			id := fmt.Sprint(i)
			of = append(of, Agent{ID: id})
			left[id] = rapid.Bool().Draw(t, "side")
		}
		alive := func(string) bool { return false }
		here := func(id string) bool { return left[id] }
		there := func(id string) bool { return !left[id] }
		if Quorum(of, here, alive, false) && Quorum(of, there, alive, false) {
			t.Fatalf("both sides of %v may go on", left)
		}
		dead := func(id string) bool { return !left[id] }
		if Quorum(of, here, dead, false) && Quorum(of, there, alive, false) {
			t.Fatalf("the dead side of %v may go on", left)
		}
	})
}
