package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

// watch looks for progress. It is armed by a rank's first step() of the round; from then on some rank's file has
// to change within limit. Only content counts, never a date.
type watch struct {
	dir   attempt.Dir
	first int // global rank of the first worker here
	limit time.Duration
	seen  []string // by rank: what its file held last
	fresh []bool   // by rank: it has changed in this round
	armed bool
	moved time.Duration // Mono when one changed last
}

func newWatch(dir attempt.Dir, first, workers int, limit time.Duration) *watch {
	w := &watch{dir: dir, first: first, limit: limit, seen: make([]string, workers), fresh: make([]bool, workers)}
	w.look(0)
	w.armed = false // what an earlier round left is no progress of this one
	clear(w.fresh)
	return w
}

// look reads the files; now is by Mono.
func (w *watch) look(now time.Duration) {
	for rank := range w.seen {
		data, err := os.ReadFile(w.dir.ProgressFile(rank))
		if err == nil && string(data) != w.seen[rank] {
			w.seen[rank], w.fresh[rank] = string(data), true
			w.armed, w.moved = true, now
		}
	}
}

// hung looks and reports whether the workers make no progress. Looking comes first: an agent that was stopped for a
// while must not take its own absence for theirs.
func (w *watch) hung(now time.Duration) bool {
	if w.limit <= 0 {
		return false
	}
	w.look(now)
	return w.armed && now-w.moved >= w.limit
}

// verdict names the rank to blame, by local rank in its first answer, or -1 where there is none, says so in a sentence, and where it is. Stacks are those
// of the ranks that told theirs. Ranks that train together report the same last step when one of them hangs in its
// next, so that only the stacks tell who waits and who is waited for.
func (w *watch) verdict(stacks []stack) (rank int, message string, where []string) {
	rank, message = w.behind()
	if rank < 0 {
		if rank = oddOneOut(stacks); rank >= 0 {
			message += fmt.Sprintf(", and rank %d is not where the others are", w.first+rank)
		}
	}
	if rank < 0 || len(stacks[rank]) == 0 {
		return rank, message, nil
	}
	message += fmt.Sprintf("; rank %d is in %s", w.first+rank, stacks[rank].inUsersCode())
	return rank, message, stacks[rank].told()
}

// behind names the rank, as verdict does, whose last step is an older one than that of the others, or -1 where none is.
func (w *watch) behind() (rank int, message string) {
	type place struct {
		rank int
		step int64
	}
	var places []place
	silent := -1
	for rank, text := range w.seen {
		var p nexus.Progress
		switch {
		case !w.fresh[rank]:
			if silent < 0 {
				silent = rank
			}
		case json.Unmarshal([]byte(text), &p) == nil:
			places = append(places, place{rank, p.Step})
		}
	}
	began := fmt.Sprintf("no rank has made progress for %s: ", nexus.Duration(w.limit))
	if len(places) == 0 {
		return -1, began + "where they are is unknown"
	}
	slices.SortStableFunc(places, func(a, b place) int { return int(min(1, max(-1, a.step-b.step))) })
	first, last := places[0], places[len(places)-1]
	switch {
	case first.step < last.step:
		return first.rank, fmt.Sprintf("%srank %d is behind at step %d, the others came to step %d", began, w.first+first.rank, first.step, last.step)
	case silent >= 0 && len(places) > 1:
		return silent, fmt.Sprintf("%srank %d has made no step at all, the others came to step %d", began, w.first+silent, last.step)
	}
	return -1, fmt.Sprintf("%severy rank that reports stopped at step %d", began, last.step)
}
