package jobfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// TestDefaults are the ones that the documentation promises.
func TestDefaults(t *testing.T) {
	spec, notices, err := jobfile.Parse([]byte("run: python train.py\nresources: {gpus: 4}\ncheckpoint: {path: ckpt}\n"), jobfile.Options{})
	if err != nil || notices != nil {
		t.Fatal(err, notices)
	}
	want := nexus.Spec{
		Name: "train", Type: nexus.Training, Priority: nexus.Normal, Queue: nexus.DefaultQueue,
		Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 4,
		Resources: nexus.Resources{GPUs: nexus.GPUCount{N: 4}}, // cpu is the place's to say
		Workdir:   ".", Run: nexus.Command{Shell: "python train.py"},
		Checkpoint: &nexus.CheckpointSpec{Path: "ckpt", Grace: nexus.Duration(30 * time.Second)},
		Restart:    nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
		NoProgress: nexus.Duration(15 * time.Minute),
	}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got  %+v\nwant %+v", spec, want)
	}
}

// TestNameOfRun: a job without a name is called after what it runs.
func TestNameOfRun(t *testing.T) {
	for run, want := range map[string]string{
		"python train.py --lr 1":           "train",
		"python3 -m pkg.train":             "python3",
		"./bin/mnist":                      "mnist",
		"LR=1 exec ./Fine_Tune.sh":         "fine_tune",
		"/opt/My Program":                  "my",
		"[torchrun, /x/eval.py]":           "eval",
		"[bash, -c, x]":                    "bash",
		"'$CMD'":                           "cmd",
		"'...'":                            "job",
		"日本":                               "job",
		"|\n  make\n  ./b":                 "make",
		"A=1":                              "job",
		strings.Repeat("x", 62) + "-.py y": strings.Repeat("x", 62),
		strings.Repeat("y", 99):            strings.Repeat("y", 63),
	} {
		spec, _, err := jobfile.Parse([]byte("run: "+run+"\n"), jobfile.Options{})
		if err != nil {
			t.Errorf("run: %s: %s", run, jobfile.Explain("", err))
		} else if spec.Name != want {
			t.Errorf("run: %s is called %q, want %q", run, spec.Name, want)
		}
	}
}

// TestJSONGoesItsOwnWay: YAML knows neither all of JSON's escapes nor all of its characters.
func TestJSONGoesItsOwnWay(t *testing.T) {
	const job = `{"run": "a\/b", "env": {"A": "\ud83d\ude00", "B": "` + "\x7f" + `", "C": 1.10}, "workers": 2}`
	spec, _, err := jobfile.Parse([]byte(job), jobfile.Options{})
	if err != nil {
		t.Fatal(jobfile.Explain("", err))
	}
	got := []any{spec.Run.Shell, spec.Env["A"].Value, spec.Env["B"].Value, spec.Env["C"].Value, spec.Workers}
	if want := []any{"a/b", "😀", "\x7f", "1.10", 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestBodiesHaveNoFile: without a name, nothing that is said speaks of a file; with one, it is called by it.
func TestBodiesHaveNoFile(t *testing.T) {
	for _, body := range []string{"", "- a", "x: 1", "{", "a: \x1b", "run: a\n---\nrun: b", strings.Repeat(" ", jobfile.MaxSize+1)} {
		_, _, err := jobfile.Parse([]byte(body), jobfile.Options{})
		if err == nil {
			t.Errorf("%.20q is taken", body)
			continue
		}
		if text := err.Error(); strings.Contains(text, "file") {
			t.Errorf("%.20q: %s", body, text)
		}
	}
	_, _, err := jobfile.Parse(nil, jobfile.Options{Name: "my\njob.yaml"})
	if err == nil || err.Error() != `my\njob.yaml is empty` {
		t.Errorf("got %v", err)
	}
}

// TestWhere: the place comes before the message, as compilers write it.
func TestWhere(t *testing.T) {
	for _, c := range []struct {
		name         string
		line, column int
		want         string
	}{
		{"job.yaml", 3, 5, "job.yaml:3:5: wrong"},
		{"job.yaml", 3, 0, "job.yaml:3: wrong"},
		{"job.yaml", 0, 0, "wrong"},
		{"", 3, 5, "line 3, column 5: wrong"},
		{"", 3, 0, "line 3: wrong"},
		{"\x1b[2J", 3, 5, `\x1b[2J:3:5: wrong`},
	} {
		if got := jobfile.Where(c.name, &nexus.Error{Message: "wrong", Line: c.line, Column: c.column}); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	one := &nexus.Error{Message: "a", Hint: "mend"}
	for want, err := range map[string]error{
		"error: a\nhint: mend\n":               fmt.Errorf("reading: %w", one),
		"error: a\nerror: a\nhint: mend\n":     nexus.Errors{one, one},
		"error: line\\nbreak\\x1b[31m\n":       errors.New("line\nbreak\x1b[31m"),
		"error: b\nerror: a\nhint: mend\n":     nexus.Errors{{Message: "b"}, one},
		"error: job.yaml:1:2: c\nhint: d\\t\n": nexus.Errors{{Message: "c", Hint: "d\t", Line: 1, Column: 2}},
	} {
		if got := jobfile.Explain("job.yaml", err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestHeavyInput: what is made to be slow or large is refused in one go.
func TestHeavyInput(t *testing.T) {
	fill := func(unit string) []byte { return bytes.Repeat([]byte(unit), jobfile.MaxSize/4/len(unit)) }
	wide := "volumes:\n- &v {" + "x: 1, " + "}\n" + strings.Repeat("- *v\n", 50000)
	for name, data := range map[string][]byte{
		"too large":      bytes.Repeat([]byte("#"), jobfile.MaxSize+1),
		"deep lists":     fill("["),
		"deep fields":    fill("{a: "),
		"deep and wide":  fill("{a,b: "),
		"deep by dashes": fill("- "),
		"deep JSON":      []byte(`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}"),
		"comments":       fill("# x\n"),
		"fields":         fill("a: 1\n"),
		"new lines":      fill("\n"),
		"quotes":         fill(`"`),
		"anchors":        fill("- &a b\n"),
		"aliases":        []byte(wide),
		"laughs":         []byte("a: &a [x,x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nrun: *c\n"),
		"many commands":  append([]byte("run: [a"), append(fill(",b"), ']', ']')...),
		"tags":           fill("!a "),
		"documents":      fill("---\n"),
		"unknown fields": []byte(unknowns(20000)),
	} {
		began := time.Now()
		_, _, err := jobfile.Parse(data, jobfile.Options{})
		t.Logf("%s: %v", name, time.Since(began).Round(time.Millisecond))
		var errs nexus.Errors
		if !errors.As(err, &errs) {
			t.Errorf("%s: err = %v", name, err)
			continue
		}
		if len(errs) > 102 {
			t.Errorf("%s: %d errors", name, len(errs))
		}
		sane(t, errs)
	}
}

func unknowns(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "reosurces%d: 1\n", i)
	}
	return text.String()
}

// TestLargeIsFine: a job file of almost a MiB without tricks is taken.
func TestLargeIsFine(t *testing.T) {
	body := "run: [a, \"" + strings.Repeat("é", jobfile.MaxSize/2-20) + "\"]\n"
	spec, _, err := jobfile.Parse([]byte(body), jobfile.Options{})
	if err != nil {
		t.Fatal(jobfile.Explain("", err))
	}
	if again, _, err := jobfile.Parse(jobfile.Render(spec), jobfile.Options{}); err == nil && difference(spec, again) != "" {
		t.Error("it reads back differently")
	}
}

// TestSetTakesAnyText: values of --set need no quoting, and are not shown when they belong to env.
func TestSetTakesAnyText(t *testing.T) {
	for _, value := range []string{"", " ", "a: b", "{", "[", "null", "\x1b[31m", "*x", "#", "a\nb", "'"} {
		spec, _, err := jobfile.Parse([]byte("run: a\n"), jobfile.Options{Set: []string{"env.A=" + value}})
		if err != nil || spec.Env["A"].Value != value {
			t.Errorf("env.A=%q is %q, %v", value, spec.Env["A"].Value, err)
		}
	}
	for _, set := range []string{"env.A=secret\x00", "env.A-B=secret", "env={A: [secret]}", "env.A.from=secret", "env.RANK=secret", "env=secret"} {
		_, _, err := jobfile.Parse([]byte("run: a\n"), jobfile.Options{Set: []string{set}})
		if err == nil || strings.Contains(jobfile.Explain("", err), "secret\"") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", set, err)
		}
	}
	for _, set := range []string{"\xff=1", "a\x1b[31m.b=1", strings.Repeat("x", 5000) + "=1", strings.Repeat("x.", 5000) + "=1", "run=" + strings.Repeat("x", jobfile.MaxSize)} {
		_, _, err := jobfile.Parse([]byte("run: a\n"), jobfile.Options{Set: []string{set}})
		var errs nexus.Errors
		if !errors.As(err, &errs) {
			t.Fatalf("%.20q: %v", set, err)
		}
		sane(t, errs)
	}
}

// TestExamples: the job files of the repository are right, and say nothing that has no effect.
func TestExamples(t *testing.T) {
	for _, path := range []string{"../../examples/mnist/job.yaml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		spec, notices, err := jobfile.Parse(data, jobfile.Options{Name: path})
		if err != nil || notices != nil {
			t.Fatal(jobfile.Explain(path, err), notices)
		}
		settled(t, spec)
	}
}
