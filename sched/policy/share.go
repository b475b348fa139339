package policy

import (
	"cmp"
	"math"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// HalfLife is after how long what a queue or user had counts half, where a policy says nothing.
const HalfLife = 7 * 24 * time.Hour

// Decayed is a use as it counts at a later time.
func Decayed(u nexus.QueueUse, at time.Time, half time.Duration) nexus.QueueUse {
	if d := at.Sub(u.At); d > 0 {
		f := math.Exp2(-float64(d) / float64(half))
		u.GPUTime, u.CPUTime, u.At = scaled(u.GPUTime, f), scaled(u.CPUTime, f), at
	}
	return u
}

// Used adds to a use what was held from one time to another: so many thousandths of a GPU and of a cpu.
// The use then counts as at the later of the two and its own time.
func Used(u nexus.QueueUse, gpus, cpus int64, from, to time.Time, half time.Duration) nexus.QueueUse {
	if !to.After(from) {
		return u
	}
	// The integral of what is held, each moment decayed until the end.
	whole := math.Log2E * float64(half) / float64(time.Millisecond)
	f := whole * (1 - math.Exp2(-float64(to.Sub(from))/float64(half)))
	u = Decayed(u, to, half)
	if late := u.At.Sub(to); late > 0 {
		f *= math.Exp2(-float64(late) / float64(half))
	}
	if u.At.IsZero() {
		u.At = to
	}
	u.GPUTime, u.CPUTime = add(u.GPUTime, scaled(gpus, f)), add(u.CPUTime, scaled(cpus, f))
	return u
}

// Average is how many thousandths of a GPU or cpu, held for ever, would have left a use.
func Average(spent int64, half time.Duration) float64 {
	return float64(spent) / (math.Log2E * float64(half) / float64(time.Millisecond))
}

func scaled(n int64, f float64) int64 { return int64(math.Round(float64(n) * f)) }

// add does not wrap around.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// CompareIn says who goes first in a queue of some order; it is total. Priority decides first in each.
// With [nexus.OrderFair] it orders the jobs of one user.
func CompareIn(order nexus.QueueOrder, a, b *nexus.Job, keyA, keyB time.Duration, promised time.Time) int {
	switch order {
	case nexus.OrderFIFO, nexus.OrderFair:
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	case nexus.OrderShortest:
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), due(a).Compare(due(b)), cmp.Compare(a.ID, b.ID))
	}
	return Compare(a, b, keyA, keyB, promised)
}

// due is when a job would be done had it started at once: so a long one is passed by shorter ones for as
// long as it takes itself, and not for ever. Who does not say how long he takes counts as long.
func due(j *nexus.Job) time.Time {
	d := time.Duration(j.Spec.MaxDuration)
	if d <= 0 {
		d = HalfLife
	}
	return j.Submitted.Add(d)
}

// Newest is the time up to which uses are told.
func Newest(uses []nexus.QueueUse) time.Time {
	var at time.Time
	for _, u := range uses {
		if u.At.After(at) {
			at = u.At
		}
	}
	return at
}

// SortUses puts uses into the order in which places tell them.
func SortUses(uses []nexus.QueueUse) {
	slices.SortFunc(uses, func(a, b nexus.QueueUse) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.User, b.User))
	})
}
