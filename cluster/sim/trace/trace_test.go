package trace

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what was read of testdata/NAME with testdata/NAME.golden.
func golden(t *testing.T, name string, read any, report Report) {
	t.Helper()
	got, err := json.MarshalIndent(map[string]any{"read": read, "report": report, "told": report.Lines()}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("%s is read as\n%s\nnot as in %s; -update writes it anew", name, got, path)
	}
}

// The samples have the shapes of the real files, bad rows among them: each is named, none is guessed.
func TestSamplesAreReadAsTheyAlwaysWere(t *testing.T) {
	open := func(name string) *os.File {
		f, err := os.Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	nodes, report, err := OpenbNodes(open("nodes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nodes.csv", nodes, report)
	pods, report, err := OpenbPods(open("pods.csv"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "pods.csv", pods, report)
	for _, name := range []string{"philly.csv", "generic.csv", "sacct.txt"} {
		jobs, report, err := Read(Auto, open(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name, jobs, report)
	}
}

// A column that is missing is one clear error, which names what would do and what there is.
func TestMissingColumns(t *testing.T) {
	read := func(f func(*strings.Reader) error, text string) *nexus.Error {
		t.Helper()
		var refusal *nexus.Error
		if err := f(strings.NewReader(text)); !errors.As(err, &refusal) || refusal.Hint == "" {
			t.Fatalf("%q: %v", text, err)
		}
		return refusal
	}
	table := func(r *strings.Reader) error { _, _, err := Read(Auto, r); return err }
	pods := func(r *strings.Reader) error { _, _, err := OpenbPods(r); return err }
	for _, c := range []struct {
		read               func(*strings.Reader) error
		text, lacks, names string
	}{
		{table, "timestamp,num_gpus\n", "duration", "runtime"},
		{table, "", "empty", "columns"},
		{table, "JobID|Submit|State|AllocTRES\n", "duration", "elapsed"},
		{pods, "name,cpu_milli,memory_mib,num_gpu\n", "thousandths of a GPU", "gpumilli"},
	} {
		e := read(c.read, c.text)
		if !strings.Contains(e.Message, c.lacks) || !strings.Contains(e.Hint, c.names) {
			t.Errorf("%q: %s; %s", c.text, e.Message, e.Hint)
		}
	}
	if e := read(table, "timestamp,duration,num_gpus\nnonsense,1,1\n"); !strings.Contains(e.Hint, "line 2") {
		t.Errorf("nothing to be read: %s; %s", e.Message, e.Hint)
	}
}

// What is named is bounded, what is counted is not.
func TestManyBadRows(t *testing.T) {
	_, report, err := CSV(strings.NewReader("timestamp,duration,gpus\n" + strings.Repeat("x,1,1\n", 1000)))
	if err != nil || report.Bad != 1000 || len(report.Named) != maxNamed || report.Named[9].Line != 11 {
		t.Fatalf("%v: %d bad, %d named", err, report.Bad, len(report.Named))
	}
}

// A job goes where the protocols say: under a node's size on one node, else on whole ones.
func TestSpecOfAJob(t *testing.T) {
	for _, c := range []struct {
		job         Job
		nodes, gpus int
	}{
		{Job{GPUs: 1}, 1, 1}, {Job{GPUs: 7}, 1, 7}, {Job{GPUs: 8}, 1, 8}, {Job{GPUs: 9}, 2, 8}, {Job{GPUs: 32}, 4, 8},
		{Job{GPUs: 4, Nodes: 2}, 2, 2}, {Job{GPUs: 32, Nodes: 2}, 4, 8}, {Job{}, 1, 0}, {Job{Nodes: 3}, 3, 0},
	} {
		s := c.job.Spec(8)
		if s.Nodes != (nexus.Range{Min: c.nodes, Max: c.nodes}) || s.Resources.GPUs.N != c.gpus {
			t.Errorf("%+v on nodes of 8: %s nodes of %d", c.job, s.Nodes, s.Resources.GPUs.N)
		}
	}
	s := Job{GPUs: 1, Share: 460, CPU: 6000, Memory: 12288, Models: []string{"T4"}}.Spec(0)
	if !s.Resources.Share() || s.Resources.GPUMemory != 460 || s.Resources.CPU != 6000 || s.Resources.Memory != 12288 || s.Workers != 1 {
		t.Errorf("a share: %+v", s.Resources)
	}
}

func TestMadeUpWork(t *testing.T) {
	load := Load{Rate: 100, For: 24 * time.Hour, Seed: 7, Mix: []Size{{1, 3}, {8, 1}}, Queues: 3}
	jobs, err := load.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := load.Jobs()
	if !reflect.DeepEqual(jobs, again) {
		t.Error("the same seed makes other jobs")
	}
	load.Seed = 8
	if other, _ := load.Jobs(); reflect.DeepEqual(jobs, other) {
		t.Error("another seed makes the same jobs")
	}
	large := 0
	for i, j := range jobs {
		if j.GPUs == 8 {
			large++
		}
		if i > 0 && j.Submit.Before(jobs[i-1].Submit) || j.Duration <= 0 {
			t.Fatalf("%+v after %+v", j, jobs[max(0, i-1)])
		}
	}
	if n := len(jobs); n < 2200 || n > 2600 || large < n/5 || large > n*3/10 {
		t.Errorf("%d jobs, %d of them large", n, large)
	}
	for _, bad := range []Load{{}, {Rate: 1}, {Rate: 1e6, For: 1000 * time.Hour}} {
		if _, err := bad.Jobs(); err == nil {
			t.Errorf("%+v is made up", bad)
		}
	}
	for _, bad := range []string{"", "1", "x:1", "1:0", "1:-2", "1:NaN"} {
		if _, err := ParseMix(bad); err == nil {
			t.Errorf("%q is a mix", bad)
		}
	}
}

func TestSlurmTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"00:00:10": 10 * time.Second, "1-02:03:04": 26*time.Hour + 3*time.Minute + 4*time.Second, "05:06": 5*time.Minute + 6*time.Second,
		"90": 90 * time.Second, "00:01.500": time.Second, "100:00:00": 100 * time.Hour,
	} {
		if got, err := slurmTime(text); err != nil || got != want {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "x", "1-", "1-02", "00:60:00", "1:2:3:4", "-1", "99999999:00:00"} {
		if got, err := slurmTime(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

// sound checks what readers promise of whatever they are given.
func sound(t *testing.T, jobs []Job, report Report, err error) {
	if err != nil {
		return
	}
	left := 0
	for _, n := range report.Left {
		left += n
	}
	if len(jobs)+report.Bad+left != report.Rows || len(report.Named) > maxNamed {
		t.Errorf("%d jobs, %d bad, %d left out of %d rows", len(jobs), report.Bad, left, report.Rows)
	}
	ids := map[string]bool{}
	for _, j := range jobs {
		if j.ID == "" || ids[j.ID] || j.Duration < 0 || j.Duration > maxDuration || j.GPUs < 0 || j.Nodes < 0 || j.CPU < 0 || j.Memory < 0 ||
			j.MaxDuration < 0 || j.Submit.Year() < firstYear || j.Submit.Year() > lastYear+100 || j.Share > 0 && j.GPUs != 1 {
			t.Errorf("%+v", j)
		}
		ids[j.ID] = true
		if s := j.Spec(8); s.Nodes.Min < 1 || s.Workers < 1 || s.Resources.CPU < 0 || s.Resources.Memory < 0 {
			t.Errorf("%+v asks for %+v", j, s)
		}
	}
}

func FuzzOpenbNodes(f *testing.F) {
	seed(f, "nodes.csv")
	f.Fuzz(func(t *testing.T, text string) {
		nodes, report, err := OpenbNodes(strings.NewReader(text))
		if err == nil && len(nodes)+report.Bad != report.Rows {
			t.Errorf("%d nodes, %d bad of %d rows", len(nodes), report.Bad, report.Rows)
		}
	})
}

func FuzzOpenbPods(f *testing.F) {
	seed(f, "pods.csv")
	f.Fuzz(func(t *testing.T, text string) {
		pods, report, err := OpenbPods(strings.NewReader(text))
		sound(t, pods, report, err)
	})
}

func FuzzCSV(f *testing.F) {
	seed(f, "philly.csv", "generic.csv")
	f.Fuzz(func(t *testing.T, text string) {
		jobs, report, err := CSV(strings.NewReader(text))
		sound(t, jobs, report, err)
	})
}

func FuzzSacct(f *testing.F) {
	seed(f, "sacct.txt")
	f.Fuzz(func(t *testing.T, text string) {
		jobs, report, err := Sacct(strings.NewReader(text))
		sound(t, jobs, report, err)
	})
}

func seed(f *testing.F, names ...string) {
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
}
