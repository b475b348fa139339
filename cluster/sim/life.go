package sim

import (
	"time"

	"ainexus.io/nexus"
)

// Life is what an imagined job does once it runs. The zero value succeeds at once.
type Life struct {
	Runs time.Duration // work to do; what was saved by a checkpoint is not done again
	Gate string        // if not empty, it runs until [Sim.Open] of that gate instead
	Exit int           // exit code; not 0 is a failure
	Save time.Duration // how long it takes to stop when it is asked to
	// Resume is what an attempt after an eviction or the loss of a node needs on top, to be where the last
	// one was.
	Resume time.Duration
	// Every is how often it saves by itself, which is what the loss of a node leaves it; 0: never.
	Every time.Duration
	// Saved says that it has a checkpoint from its start on.
	Saved bool
	// Patience is after how long a job that never started is withdrawn; 0: never.
	Patience time.Duration
}

// imagined is a job and what only the place knows of it.
type imagined struct {
	job    nexus.Job
	life   Life
	done   time.Duration // work saved
	redo   time.Duration // what the attempt has to do before it goes on
	began  time.Time     // of Running
	lost   bool          // an attempt of it was lost with a node
	ending int           // counts endings, so that events of a past attempt are void
}

// backoffs between attempts that failed by themselves: doubled each time.
const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
)

// Options are what a place may be told to do beside the plans.
type Options struct {
	// Brisk makes an instant one cycle: a job that is placed runs at once, and the answer to a plan waits
	// for the next thing that happens by itself. Without it each placement is answered on its own, in two
	// steps, as real places do.
	Brisk bool
	// Queues are the queues of the place, beside the one that always exists.
	Queues []nexus.Queue
	// Failures is how often a node is lost, per node and day on average; 0: never. Such a place never
	// settles: somebody has to say when it is enough.
	Failures float64
	// Repair is how long a lost node is away, on average. 0 means an hour.
	Repair time.Duration
	// Seed decides when nodes are lost and come back: the same for every policy.
	Seed int64
	// Tell is told what happens. It must not call the place, and not keep what the pointer in it points to.
	Tell func(Happening)
}

// Happening is something that happened to a job.
type Happening struct {
	At    time.Time
	Kind  Kind
	Job   *nexus.Job  // read only
	Cause nexus.Cause // of Ended and Over; empty: it succeeded
}

// Kind is what kind of thing happened.
type Kind int

// The kinds. An attempt that Began has Ended before the next one begins, and before its job is Over; while
// both are told the job has its placement.
const (
	Submitted Kind = iota
	Began          // an attempt
	Ended          // an attempt
	Over           // the job
)

func (s *Sim) tell(k Kind, j *imagined, cause nexus.Cause) {
	if s.options.Tell != nil {
		s.options.Tell(Happening{At: s.instant, Kind: k, Job: &j.job, Cause: cause})
	}
}
