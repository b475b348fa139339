package sim

import (
	"cmp"
	"container/heap"
	"time"
)

// event is something that happens by itself.
type event struct {
	at     time.Time
	serial int // of equals, the first made is the first to happen
	do     func()
}

func (s *Sim) at(t time.Time, do func()) {
	s.serial++
	heap.Push(&s.events, event{t, s.serial, do})
}

func (s *Sim) after(d time.Duration, do func()) { s.at(s.instant.Add(d), do) }

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return cmp.Or(e[i].at.Compare(e[j].at), cmp.Compare(e[i].serial, e[j].serial)) < 0
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
