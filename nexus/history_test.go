package nexus

import (
	"testing"
	"time"
)

func TestEstimatesInWords(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		low, median, high time.Duration
		want              string
	}{
		{10 * time.Minute, 40 * time.Minute, 2 * time.Hour, "in about 40 min (80 %: 10 min to 2 h)"},
		{-time.Hour, 20 * time.Second, 90 * time.Minute, "any moment now (80 %: now to 90 min)"},
		{30 * time.Hour, 50 * time.Hour, 9 * 24 * time.Hour, "in about 2 days (80 %: 30 h to 9 days)"},
		{3 * time.Minute, 3 * time.Minute, 3 * time.Minute, "in about 3 min (80 %: 3 min)"},
	} {
		e := Estimate{Low: now.Add(c.low), Median: now.Add(c.median), High: now.Add(c.high)}
		if got := e.Sentence(now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
