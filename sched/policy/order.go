package policy

import (
	"cmp"
	"time"

	"ainexus.io/nexus"
)

// Compare says who goes first: higher priority, then inference ahead of its equals, then the lower key of the
// [Rank], then arrival. The id decides between jobs of the same instant, so that the order is total. Where promised is not zero, seats
// are kept since then for somebody of that priority: inference that came later goes by arrival.
func Compare(a, b *nexus.Job, keyA, keyB time.Duration, promised time.Time) int {
	if c := cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), cmp.Compare(ahead(a, promised), ahead(b, promised)), cmp.Compare(keyA, keyB)); c != 0 {
		return c // as nearly always: what follows costs more
	}
	return cmp.Or(a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
}

func ahead(j *nexus.Job, promised time.Time) int {
	if j.Spec.Type == nexus.Inference && (promised.IsZero() || !j.Submitted.After(promised)) {
		return 0
	}
	return 1
}
