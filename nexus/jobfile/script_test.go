package jobfile_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

var update = flag.Bool("update", false, "write what the scripts of testdata show instead of checking it")

// TestRefused shows what people are told. A script opens with its story, then come job.yaml, set (an argument
// of --set on each line) where there are any, and want: the words of the edge.
func TestRefused(t *testing.T) {
	eachScript(t, "testdata/refused/*.txtar", func(t *testing.T, job []byte, opts jobfile.Options) string {
		_, notices, err := jobfile.Parse(job, opts)
		var errs nexus.Errors
		if !errors.As(err, &errs) {
			t.Fatalf("taken, with err = %v", err)
		}
		if notices != nil {
			t.Errorf("notices %v beside an error", notices)
		}
		sane(t, errs)
		return jobfile.Explain(opts.Name, err)
	})
}

// TestTaken shows what a job file means: the job with all defaults, then its notices.
func TestTaken(t *testing.T) {
	eachScript(t, "testdata/taken/*.txtar", func(t *testing.T, job []byte, opts jobfile.Options) string {
		spec, notices, err := jobfile.Parse(job, opts)
		if err != nil {
			t.Fatal(jobfile.Explain(opts.Name, err))
		}
		settled(t, spec)
		text := string(jobfile.Render(spec))
		for _, n := range notices {
			if !strings.HasPrefix(n.Message, n.Field+" ") {
				t.Errorf("notice %+v does not begin with its field", n)
			}
			text += "notice: " + n.Message + "\n"
		}
		return text
	})
}

func eachScript(t *testing.T, pattern string, show func(*testing.T, []byte, jobfile.Options) string) {
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			script, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(bytes.TrimSpace(script.Comment)) == 0 {
				t.Error("the script does not tell its story")
			}
			opts := jobfile.Options{Name: "job.yaml"}
			var job []byte
			want := -1
			for i, f := range script.Files {
				switch f.Name {
				case "job.yaml":
					job = f.Data
				case "set":
					opts.Set = strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
				case "want":
					want = i
				default:
					t.Fatalf("unknown file %q", f.Name)
				}
			}
			got := show(t, job, opts)
			if *update {
				if want < 0 {
					script.Files, want = append(script.Files, txtar.File{Name: "want"}), len(script.Files)
				}
				script.Files[want].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(script), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if want < 0 || got != string(script.Files[want].Data) {
				t.Errorf("got:\n%s\n(run with -update to keep it)", got)
			}
		})
	}
}

// sane wants errors that can be shown anywhere: lines without control characters, short, in order.
func sane(t interface{ Errorf(string, ...any) }, errs nexus.Errors) {
	for i, e := range errs {
		for _, text := range []string{e.Message, e.Hint, e.Field} {
			if len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x202e }) {
				t.Errorf("not a sane line: %.200q", text)
			}
		}
		switch {
		case e.Message == "" || e.Code != nexus.CodeInvalid || e.Line < 0 || e.Column < 0:
			t.Errorf("incomplete: %+v", e)
		case i > 0 && e.Line > 0 && e.Line < errs[i-1].Line:
			t.Errorf("%q (line %d) comes after line %d", e.Message, e.Line, errs[i-1].Line)
		}
	}
}

// settled wants a Spec to come back the same from its YAML and from its JSON, which render the same again.
func settled(t interface {
	Helper()
	Fatalf(string, ...any)
}, spec nexus.Spec) {
	t.Helper()
	for kind, text := range map[string][]byte{"YAML": jobfile.Render(spec), "JSON": asJSON(spec)} {
		again, _, err := jobfile.Parse(text, jobfile.Options{})
		if err != nil {
			t.Fatalf("its %s is refused: %s\n%s", kind, jobfile.Explain("", err), text)
		}
		if diff := difference(spec, again); diff != "" {
			t.Fatalf("its %s reads back differently: %s\n%s", kind, diff, text)
		}
		if !bytes.Equal(jobfile.Render(spec), jobfile.Render(again)) {
			t.Fatalf("its %s renders differently", kind)
		}
	}
}

func difference(a, b nexus.Spec) string {
	if x, y := fmt.Sprintf("%#v", flat(a)), fmt.Sprintf("%#v", flat(b)); x != y {
		return "\n" + x + "\n" + y
	}
	return ""
}
