package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// Whatever others write, clean leaves one line without anything that moves, hides or reorders.
func TestCleanLeavesNothingToForgeWith(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"plain, ünïcode ✓", "plain, ünïcode ✓"},
		{"a\nerror: forged", `a\nerror: forged`},
		{"\x1b[31mred", `\x1b[31mred`},
		{"a\tb", "a b"},
		{"bad \xff byte", `bad \xff byte`},
		{"\u202edrawkcab", `\u202edrawkcab`},
		{"zero\u200bwidth", `zero\u200bwidth`},
		{"line\u2028end", `line\u2028end`},
		{"\u009b31m", `\u009b31m`},
	} {
		if got := clean(c.in); got != c.out {
			t.Errorf("clean(%q) = %q, not %q", c.in, got, c.out)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		out := clean(string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
		if strings.ContainsFunc(out, unicode.IsControl) || strings.ToValidUTF8(out, "") != out {
			t.Errorf("%q", out)
		}
	})
}

// Lines come out as they went in, however the stream is cut.
func TestLinesSurviveAnyCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.StringMatching(`[a-z ]{0,20}`)).Draw(t, "lines")
		data := ""
		for _, line := range want {
			data += line + "\n"
		}
		var got []string
		cut := &lines{to: func(line string) error { got = append(got, line); return nil }}
		for len(data) > 0 {
			n := rapid.IntRange(1, len(data)).Draw(t, "cut")
			if _, err := cut.Write([]byte(data[:n])); err != nil {
				t.Fatal(err)
			}
			data = data[n:]
		}
		if err := cut.finish(); err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q, not %q; %v", got, want, err)
		}
	})
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	env := map[string]string{}
	p := &program{lookup: func(key string) (string, bool) { v, ok := env[key]; return v, ok }}
	const red = "\x1b[31mred\x1b[0m\x1b[2J"
	if got := p.logLine(red); got != "red" {
		t.Errorf("in a file: %q", got)
	}
	p.terminal = true
	if got := p.logLine(red); !strings.HasPrefix(got, "\x1b[31mred\x1b[0m") || strings.Contains(got, "2J") {
		t.Errorf("on a terminal: %q", got)
	}
	env["NO_COLOR"] = "1"
	if got := p.logLine(red); got != "red" {
		t.Errorf("with NO_COLOR: %q", got)
	}
}

// The status stays below the lines that go by, and is not longer than the screen.
func TestTheStatusStaysBelow(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, terminal: true, width: func() int { return 10 }}
	s.show("step 1 of 100")
	if err := s.line("[0] %s", "hello"); err != nil {
		t.Fatal(err)
	}
	s.show("")
	if want := "\r\x1b[Kstep 1 of\r\x1b[K[0] hello\nstep 1 of\r\x1b[K"; out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
	out.Reset()
	s = &screen{out: &out}
	s.show("step 1")
	if out.Len() > 0 {
		t.Errorf("no terminal, yet %q", out.String())
	}
}

func TestThePlanSaysWhichDeviceForWhichRank(t *testing.T) {
	gpus := func(ids ...int) (list []nexus.SeatGPU) {
		for _, i := range ids {
			list = append(list, nexus.SeatGPU{Index: i, UUID: fmt.Sprint("GPU-", i)})
		}
		return list
	}
	models := map[string]string{"GPU-0": "H100"}
	view := api.JobView{Job: nexus.Job{Spec: nexus.Spec{Name: "j"}, Placement: &nexus.Placement{Attempt: 2}}}
	for _, c := range []struct {
		seats []nexus.Seat
		want  []string
	}{
		{[]nexus.Seat{{Node: "a", Workers: 4, CPU: 2000, Because: "4 workers on 2 cpu slots"}},
			[]string{"plan: attempt 2 of j: 4 workers on 1 node", "  ranks 0-3  a  2 cpu, no GPU", "  why a: 4 workers on 2 cpu slots"}},
		{[]nexus.Seat{{Node: "a", Workers: 2, GPUs: gpus(0, 1, 2, 3)}, {Node: "b", Workers: 2, GPUs: gpus(0, 1)}},
			[]string{"plan: attempt 2 of j: 4 workers on 2 nodes", "  rank 0  a  GPU 0 (H100), GPU 1", "  rank 1  a  GPU 2, GPU 3",
				"  rank 2  b  GPU 0 (H100)", "  rank 3  b  GPU 1"}},
		{[]nexus.Seat{{Node: "a", Workers: 1, GPUs: gpus(1), Share: 2048}},
			[]string{"plan: attempt 2 of j: 1 worker on 1 node", "  rank 0  a  2GiB of GPU 1"}},
	} {
		view.Placement.Seats = c.seats
		if got := planLines(view, models); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("got\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestTheStatusLine(t *testing.T) {
	loss := 0.25
	view := api.JobView{Job: nexus.Job{Spec: nexus.Spec{Name: "j"}, Phase: nexus.Running}, Status: &nexus.Status{State: nexus.AgentRunning}}
	if got := statusLine(view); got != "j: Running" {
		t.Errorf("%q", got)
	}
	view.Progress = []nexus.Progress{{Rank: 0, Step: 60, TotalSteps: 100, Loss: &loss, Metrics: map[string]float64{"samples_per_s": 1234.4, "accuracy": 0.9}},
		{Rank: 1, Step: 50, TotalSteps: 100}}
	want := "j: Running  step 50/100 [============        ]  loss 0.2500  1234 samples/s  accuracy 90.0 %"
	if got := statusLine(view); got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestExitCodes(t *testing.T) {
	p := &program{err: &bytes.Buffer{}}
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{errors.New("anything"), exitError},
		{&nexus.Error{Code: nexus.CodeInvalid}, exitUsage},
		{fmt.Errorf("around: %w", &nexus.Error{Code: nexus.CodeUnavailable}), exitAway},
		{nexus.Errors{{Code: nexus.CodeNotFound}, {Code: nexus.CodeInvalid}}, exitUnknown},
		{&nexus.Error{Code: nexus.CodeUnfit}, exitRefused},
		{&nexus.Error{Code: nexus.CodeExhausted}, exitError},
		{&exit{code: 42}, 42},
		{exitOf(api.JobView{Job: nexus.Job{Phase: nexus.Succeeded}}), 0},
		{exitOf(api.JobView{Job: nexus.Job{Phase: nexus.Failed, Result: &nexus.Result{Exit: 137}}}), 137},
		{exitOf(api.JobView{Job: nexus.Job{Phase: nexus.Failed}}), exitError},
		{exitOf(api.JobView{Job: nexus.Job{Phase: nexus.Cancelled, Result: &nexus.Result{Exit: 1}}}), exitDetached},
	} {
		if got := p.finish(c.err); got != c.code {
			t.Errorf("%v: exit code %d, not %d", c.err, got, c.code)
		}
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{-1: "0s", 42 * time.Second: "42s", 301 * time.Second: "5m1s",
		200 * time.Minute: "3h20m", 52 * time.Hour: "2d4h"} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
	now := time.Now()
	if eta(time.Time{}, now) != "" || eta(now.Add(-time.Hour), now) != "now" || eta(now.Add(time.Minute), now) != "in 1m0s" {
		t.Error(eta(time.Time{}, now), eta(now.Add(-time.Hour), now), eta(now.Add(time.Minute), now))
	}
}

// YAML has the names and the order of JSON, and values that only look like others stay text.
func TestYAMLIsTheJSON(t *testing.T) {
	data, err := yamlOf(struct {
		B string            `json:"b"`
		A []int             `json:"a"`
		C map[string]string `json:"c"`
	}{"true", []int{1}, map[string]string{"x": "1.0", "y": "a\nb"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "b: \"true\"\na:\n  - 1\nc:\n  x: \"1.0\"\n  y: |-\n    a\n    b\n"; string(data) != want {
		t.Errorf("%q, not %q", data, want)
	}
}
