package jobfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// FuzzParse: whatever comes in, Parse returns sane errors or a job that reads back the same.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no scripts to begin with: %v", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		job, set := "", ""
		for _, file := range txtar.Parse(data).Files {
			switch file.Name {
			case "job.yaml":
				job = string(file.Data)
			case "set":
				set = string(file.Data)
			}
		}
		f.Add([]byte(job), set)
	}
	f.Add([]byte("\xef\xbb\xbfrun: a\r\n"), "env.A=\x1b")
	f.Add([]byte("\xff\xfer\x00u\x00n\x00"), "a\nb=c")
	f.Add([]byte(`{"run":"a\/b","env":{"A":"\ud83d\ude00\u007f"}}`), "labels.a.b.c=1")
	f.Fuzz(func(t *testing.T, job []byte, set string) {
		opts := jobfile.Options{}
		if set != "" {
			opts.Set = []string{set}
		}
		spec, notices, err := jobfile.Parse(job, opts)
		if err == nil {
			settled(t, spec)
			for _, n := range notices {
				sane(t, nexus.Errors{{Code: nexus.CodeInvalid, Message: n.Message, Field: n.Field}})
			}
			return
		}
		var errs nexus.Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("err = %v, which is no list of errors", err)
		}
		sane(t, errs)
	})
}
