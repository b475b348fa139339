package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
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
	w.look(now)
	return w.limit > 0 && w.armed && now-w.moved >= w.limit
}

// standing is where a rank has come to.
type standing struct {
	Rank  int         `json:"rank"`  // global
	Fresh bool        `json:"fresh"` // it has reported in this round
	Step  int64       `json:"step"`  // -1: what it reported cannot be read
	Where [][3]string `json:"where,omitempty"`
}

func (s standing) stack() (list stack) {
	for _, f := range s.Where {
		list = append(list, frame{file: proc.Sanitize(f[0]), line: proc.Sanitize(f[1]), function: proc.Sanitize(f[2])})
	}
	return list
}

// standings are those of the ranks here. Stacks are of the ranks that told theirs.
func (w *watch) standings(stacks []stack) []standing {
	list := make([]standing, len(w.seen))
	for rank, text := range w.seen {
		list[rank] = standing{Rank: w.first + rank, Fresh: w.fresh[rank], Step: -1}
		var p nexus.Progress
		if json.Unmarshal([]byte(text), &p) == nil {
			list[rank].Step = p.Step
		}
		for _, f := range stacks[rank] {
			list[rank].Where = append(list[rank].Where, [3]string{f.file, f.line, f.function})
		}
	}
	return list
}

// verdict names the rank to blame, or -1 where there is none, says so in a sentence, and where it is. Ranks that train together
// report the same last step when one of them hangs in its next, so that only the stacks tell who waits and who is waited for.
func verdict(limit time.Duration, ranks []standing) (rank int, message string, where []string) {
	at, message := behind(limit, ranks)
	stacks := make([]stack, len(ranks))
	for i, r := range ranks {
		stacks[i] = r.stack()
	}
	if at < 0 {
		if at = oddOneOut(stacks); at >= 0 {
			message += fmt.Sprintf(", and rank %d is not where the others are", ranks[at].Rank)
		}
	}
	if at < 0 {
		return -1, message, nil
	}
	if len(stacks[at]) == 0 {
		return ranks[at].Rank, message, nil
	}
	message += fmt.Sprintf("; rank %d is in %s", ranks[at].Rank, stacks[at].inUsersCode())
	return ranks[at].Rank, message, stacks[at].told()
}

// behind finds the rank whose last step is an older one than that of the others, or -1 where none is.
func behind(limit time.Duration, ranks []standing) (at int, message string) {
	type place struct {
		at   int
		step int64
	}
	var places []place
	silent := -1
	for i, r := range ranks {
		switch {
		case !r.Fresh:
			if silent < 0 {
				silent = i
			}
		case r.Step >= 0:
			places = append(places, place{i, r.Step})
		}
	}
	began := fmt.Sprintf("no rank has made progress for %s: ", nexus.Duration(limit))
	if len(places) == 0 {
		return -1, began + "where they are is unknown"
	}
	slices.SortStableFunc(places, func(a, b place) int { return int(min(1, max(-1, a.step-b.step))) })
	first, last := places[0], places[len(places)-1]
	switch {
	case first.step < last.step:
		return first.at, fmt.Sprintf("%srank %d is behind at step %d, the others came to step %d", began, ranks[first.at].Rank, first.step, last.step)
	case silent >= 0 && len(places) > 1:
		return silent, fmt.Sprintf("%srank %d has made no step at all, the others came to step %d", began, ranks[silent].Rank, last.step)
	}
	return -1, fmt.Sprintf("%severy rank that reports stopped at step %d", began, last.step)
}
