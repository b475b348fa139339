package row_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/bench/row"
)

func TestALineBecomesARow(t *testing.T) {
	for _, c := range []struct {
		story string
		got   row.Row
		want  string
	}{
		{"faster than the peer", line(row.AtMostTimes("<= 1.5x its time", 1.5)).Against(10, 20),
			`{"what":"w","ours":10,"theirs":20,"unit":"ms","ratio":2,"must":"<= 1.5x its time","ok":true}`},
		{"as slow as allowed", line(row.AtMostTimes("<= 1.5x its time", 1.5)).Against(30, 20),
			`{"what":"w","ours":30,"theirs":20,"unit":"ms","ratio":0.6666666666666666,"must":"<= 1.5x its time","ok":true}`},
		{"slower than that", line(row.AtMostTimes("<= 1.5x its time", 1.5)).Against(32, 20),
			`{"what":"w","ours":32,"theirs":20,"unit":"ms","ratio":0.625,"must":"<= 1.5x its time","ok":false}`},
		{"a difference that is kept", line(row.AtMostMore("<= +150 ms", 150)).Against(200, 50),
			`{"what":"w","ours":200,"theirs":50,"unit":"ms","ratio":0.25,"must":"<= +150 ms","ok":true}`},
		{"a difference that is not", line(row.AtMostMore("<= +150 ms", 150)).Against(250, 50),
			`{"what":"w","ours":250,"theirs":50,"unit":"ms","ratio":0.2,"must":"<= +150 ms","ok":false}`},
		{"at least so many times as many", line(row.AtLeastTimes(">= 0.25x", 0.25)).Against(30, 100),
			`{"what":"w","ours":30,"theirs":100,"unit":"ms","ratio":0.3,"must":">= 0.25x","ok":true}`},
		{"not as many", line(row.AtLeastTimes(">= 0.25x", 0.25)).Against(20, 100),
			`{"what":"w","ours":20,"theirs":100,"unit":"ms","ratio":0.2,"must":">= 0.25x","ok":false}`},
		{"just not too far below", line(row.AtLeastLess("nowhere > 0.1 below", 0.1)).Against(95.1, 95.2),
			`{"what":"w","ours":95.1,"theirs":95.2,"unit":"ms","ratio":0.9989495798319327,"must":"nowhere > 0.1 below","ok":true}`},
		{"too far below", line(row.AtLeastLess("nowhere > 0.1 below", 0.1)).Against(1, 2),
			`{"what":"w","ours":1,"theirs":2,"unit":"ms","ratio":0.5,"must":"nowhere > 0.1 below","ok":false}`},
		{"near enough from above", line(row.Near("within 1", 1)).Against(5, 4),
			`{"what":"w","ours":5,"theirs":4,"unit":"ms","ratio":1.25,"must":"within 1","ok":true}`},
		{"too far from below", line(row.Near("within 1", 1)).Against(2, 4),
			`{"what":"w","ours":2,"theirs":4,"unit":"ms","ratio":0.5,"must":"within 1","ok":false}`},
		{"in between", line(row.Between("70-90", 70, 90)).Alone(70),
			`{"what":"w","ours":70,"theirs":null,"unit":"ms","ratio":null,"must":"70-90","ok":true}`},
		{"beyond", line(row.Between("70-90", 70, 90)).Alone(91),
			`{"what":"w","ours":91,"theirs":null,"unit":"ms","ratio":null,"must":"70-90","ok":false}`},
		{"nothing demanded, more is better", line(row.More()).Against(6, 4),
			`{"what":"w","ours":6,"theirs":4,"unit":"ms","ratio":1.5,"must":null,"ok":true}`},
		{"no peer, at least", line(row.AtLeast(">= 300", 300)).Alone(600),
			`{"what":"w","ours":600,"theirs":null,"unit":"ms","ratio":2,"must":">= 300","ok":true}`},
		{"no peer, at most", line(row.AtMost("<= 100", 100)).Alone(125),
			`{"what":"w","ours":125,"theirs":null,"unit":"ms","ratio":0.8,"must":"<= 100","ok":false}`},
		{"none allowed, none found", line(row.AtMost("none", 0)).Alone(0),
			`{"what":"w","ours":0,"theirs":null,"unit":"ms","ratio":null,"must":"none","ok":true}`},
		{"nothing demanded", line(row.Must{}).Alone(5),
			`{"what":"w","ours":5,"theirs":null,"unit":"ms","ratio":null,"must":null,"ok":true}`},
		{"not measured", line(row.AtMost("<= 100", 100)).Missing(errors.New("there is\nno\ttorch")),
			`{"what":"w","ours":null,"theirs":null,"unit":"ms","ratio":null,"must":"<= 100","ok":false,"why":"there is; no; torch"}`},
		{"no samples of the peer", line(row.AtMostTimes("<= 2x", 2)).Against(1, row.Median(nil)),
			`{"what":"w","ours":1,"theirs":null,"unit":"ms","ratio":null,"must":"<= 2x","ok":false,"why":"the peer's figure is no number"}`},
		{"no samples of ours", line(row.AtMostTimes("<= 2x", 2)).Against(row.Median(nil), 1),
			`{"what":"w","ours":null,"theirs":1,"unit":"ms","ratio":null,"must":"<= 2x","ok":false,"why":"our figure is no number"}`},
	} {
		var got strings.Builder
		if err := row.NewPrinter(&got, true).Print(c.got); err != nil || got.String() != c.want+"\n" {
			t.Errorf("%s: %v\n got %swant %s", c.story, err, got.String(), c.want)
		}
	}
}

func line(m row.Must) row.Line { return row.Line{What: "w", Unit: "ms", Must: m} }

func TestMedianAndPercentile(t *testing.T) {
	for _, c := range []struct {
		samples     []float64
		median, p95 float64
	}{
		{[]float64{7}, 7, 7},
		{[]float64{4, 1, 3, 2}, 2.5, 4},
		{[]float64{3, 1, 2}, 2, 3},
		{[]float64{20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 10.5, 19},
	} {
		before := slices.Clone(c.samples)
		if m, p := row.Median(c.samples), row.Percentile(c.samples, 95); m != c.median || p != c.p95 {
			t.Errorf("of %v: median %v, p95 %v; want %v and %v", c.samples, m, p, c.median, c.p95)
		}
		if !slices.Equal(before, c.samples) {
			t.Errorf("the samples were changed to %v", c.samples)
		}
	}
	if !math.IsNaN(row.Median(nil)) || !math.IsNaN(row.Percentile(nil, 95)) {
		t.Error("nothing has a median")
	}
}

func TestAPercentileCoversItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 60).Draw(t, "samples")
		p := rapid.Float64Range(0, 100).Draw(t, "p")
		at, below, under := row.Percentile(samples, p), 0, 0
		for _, s := range samples {
			if s <= at {
				below++
			}
			if s < at {
				under++
			}
		}
		share := p / 100 * float64(len(samples))
		if !slices.Contains(samples, at) || float64(below) < share-1e-9 {
			t.Fatalf("%v %% of %v are not within %v", p, samples, at)
		}
		if p > 0 && float64(under) >= share+1e-9 {
			t.Fatalf("a smaller sample than %v covers %v %% of %v", at, p, samples)
		}
	})
}

func TestTheSlowestRankCounts(t *testing.T) {
	got := row.Slowest([][]float64{{1, 5, 2}, {4, 3}, {2, 2, 9}})
	if want := []float64{4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if row.Slowest(nil) != nil {
		t.Error("no ranks, no times")
	}
}

func TestThePrinterWritesRowsOnly(t *testing.T) {
	rows := []row.Row{line(row.AtMost("<= 100", 100)).Alone(12.5), line(row.AtLeast(">= 1", 1)).Missing(errors.New("no time"))}
	for _, c := range []struct {
		json bool
		want string
	}{
		{true, `{"what":"w","ours":12.5,"theirs":null,"unit":"ms","ratio":8,"must":"<= 100","ok":true}
{"what":"w","ours":null,"theirs":null,"unit":"ms","ratio":null,"must":">= 1","ok":false,"why":"no time"}
`},
		{false, `WHAT  OURS  THEIRS  UNIT  RATIO  MUST    OK
w     12.5  -       ms    8      <= 100  yes
w     -     -       ms    -      >= 1    NO: no time
`},
	} {
		var out strings.Builder
		p := row.NewPrinter(&out, c.json)
		for _, r := range rows {
			if err := p.Print(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil || out.String() != c.want {
			t.Errorf("json %v: %v, printed\n%swant\n%s", c.json, err, out.String(), c.want)
		}
	}
}
