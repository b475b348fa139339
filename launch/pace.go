package launch

import (
	"encoding/json"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
)

// lookAtPace follows a look at the files. It tells of ranks that begin to keep the others waiting, or no longer do. Nothing follows from it.
func (a *agent) lookAtPace(r *round) {
	after, changed := a.pace(r)
	if !changed {
		return
	}
	before := r.suspects
	r.suspects = after
	a.board.set(func(s *nexus.Status) { s.Suspects = after })
	if a.bare {
		for _, sentence := range nexus.SuspectsChanged(before, after) {
			a.say(sentence)
		}
	}
}

// pace compares the ranks, of all nodes where there are several.
func (a *agent) pace(r *round) (suspects []nexus.Suspect, changed bool) {
	if r.together == nil {
		changed = r.pace.Look(r.watch.worked())
		return r.pace.Suspects(), changed
	}
	if r.looks++; r.looks%togetherEvery != 0 {
		return nil, false
	}
	return r.together.look(r.watch.worked())
}

// worked is what the ranks here told about their own part of a step in this round.
func (w *watch) worked() []elastic.Worked {
	list := make([]elastic.Worked, len(w.seen))
	for rank, text := range w.seen {
		list[rank].Rank = w.first + rank
		var p nexus.Progress
		if w.fresh[rank] && json.Unmarshal([]byte(text), &p) == nil {
			list[rank].Step, list[rank].Own = p.Step, time.Duration(p.Own*float64(time.Second))
		}
	}
	return list
}
