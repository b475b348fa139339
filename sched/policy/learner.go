package policy

import "ainexus.io/nexus"

// Learner folds what happens in a place into a history, and says when that is worth telling the planner. The zero value
// knows nothing.
type Learner struct {
	History nexus.History
	ends    int // learnt since it was told
	due     bool
}

// A history is told again after so many ends, after fewer while little is known.
const (
	endsFirst = 8
	endsLater = 64
)

// Arrived learns what a job that has come asks for.
func (l *Learner) Arrived(s *nexus.Spec) {
	l.due = LearnArrival(&l.History, s) || l.due
}

// Over learns how long a job ran that is over.
func (l *Learner) Over(j *nexus.Job) {
	before := l.History.Version
	LearnEnd(&l.History, j)
	if l.History.Version == before {
		return
	}
	l.ends++
	often := endsFirst
	if l.History.Version > 16*endsLater {
		often = endsLater
	}
	l.due = l.due || l.ends >= often
}

// Started learns how long a job had to wait for its start, against the estimate that was made when it began to. A place
// where nobody ends for long has no news from it: what jobs run is what tells how long others wait.
func (l *Learner) Started(j *nexus.Job, e nexus.Estimate) { LearnStart(&l.History, j, e, j.Started) }

// News is the history, if it is worth telling; else nil.
func (l *Learner) News() *nexus.History {
	if !l.due {
		return nil
	}
	l.due, l.ends = false, 0
	return l.History.Clone()
}
