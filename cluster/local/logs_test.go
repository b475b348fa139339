package local

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// The log files of an attempt, as an agent leaves them, read in every way there is.
func TestReadingLogs(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	job := submit(t, p, "true")
	awaitPhase(t, p, job.ID, nexus.Succeeded)
	dir := p.dirOf(job.ID, 1)
	for name, text := range map[string]string{
		"0/0.log.1": "a0\n", "0/0.log": "a1\na2\na3", "0/1.log": "b1\nb2\n", "0/10.log": "k\n", "1/0.log": "c1\n", "0/setup.log": "made\n",
		"0/0.error.json": "{}", "notes/0.log": "no round\n",
	} {
		path := filepath.Join(string(dir), "logs", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := api.LogQuery{Round: -1, Rank: -1}
	for _, row := range []struct {
		story string
		edit  func(*api.LogQuery)
		want  string
	}{
		{"everything", func(*api.LogQuery) {}, "[0] a0 [0] a1 [0] a2 [0] a3 [1] b1 [1] b2 [10] k [0] c1"},
		{"one rank", func(q *api.LogQuery) { q.Rank = 0 }, "a0 a1 a2 a3 c1"},
		{"one round", func(q *api.LogQuery) { q.Round = 1 }, "[0] c1"},
		{"the last lines", func(q *api.LogQuery) { q.Tail, q.Round = 2, 0 }, "[0] a2 [0] a3 [1] b1 [1] b2 [10] k"},
		{"the last lines, over a file that was moved aside", func(q *api.LogQuery) { q.Tail, q.Rank, q.Round = 4, 0, 0 }, "a0 a1 a2 a3"},
		{"more lines than there are", func(q *api.LogQuery) { q.Tail, q.Rank, q.Round = 40, 0, 0 }, "a0 a1 a2 a3"},
		{"setup", func(q *api.LogQuery) { q.Setup = true }, "made"},
		{"a rank that is not there", func(q *api.LogQuery) { q.Rank = 7 }, ""},
		{"following what is over", func(q *api.LogQuery) { q.Rank, q.Follow = 1, true }, "b1 b2"},
	} {
		q := all
		row.edit(&q)
		var out strings.Builder
		err := p.Logs(t.Context(), job.ID, q, &out)
		if got := strings.Join(strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), " "); err != nil || got != row.want {
			t.Errorf("%s: %q, %v", row.story, got, err)
		}
	}
	all.Attempt = 2
	if err := p.Logs(t.Context(), job.ID, all, &strings.Builder{}); refusal(err).Code != nexus.CodeNotFound {
		t.Errorf("an attempt that never was: %v", err)
	}
}

// Who follows sees each line once, over a file that is moved aside and over attempts.
func TestFollowingLogs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := attempt.At(root, "j", 1)
	path := dir.WorkerLog(0, 0)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	f := &follower{query: api.LogQuery{Round: -1, Rank: -1}, out: &out, files: map[string]*logFile{}}
	write := func(text string) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = file.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	read := func(final bool, want string) {
		t.Helper()
		out.Reset()
		if err := f.read(dir, 1, final); err != nil || out.String() != want {
			t.Errorf("it read %q, not %q, %v", out.String(), want, err)
		}
	}
	read(false, "")
	write("one\ntw")
	read(false, "[0] one\n")
	write("o\n")
	read(false, "[0] two\n")
	write("three\nfo")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("ur\nfive\n")
	read(false, "[0] three\n[0] four\n[0] five\n")
	write("end")
	read(false, "")
	read(true, "[0] end\n")
	read(true, "")
}

// A log of many files is one log to who reads it, at whatever moment it is moved on.
func TestRotatedLogs(t *testing.T) {
	t.Parallel()
	dir := attempt.At(t.TempDir(), "j", 1)
	path := dir.WorkerLog(0, 0)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := proc.OpenLog(path, proc.LogOptions{Size: 100, Files: 4, Trouble: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	reader := func(tail int) (*follower, *strings.Builder) {
		var out strings.Builder
		return &follower{query: api.LogQuery{Rank: 0, Round: -1, Tail: tail}, out: &out, files: map[string]*logFile{}}, &out
	}
	lines := func(from, to int) string {
		var text strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&text, "line %04d\n", i)
		}
		return text.String()
	}
	read := func(f *follower) {
		t.Helper()
		if err := f.read(dir, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	// Who follows has every line once, however the pieces fall into files and reads. (The seed is part of the test.)
	random := rand.New(rand.NewPCG(1, 2))
	text, written := lines(0, 2000), 0
	f, out := reader(0)
	for written < len(text) {
		for range 1 + random.IntN(3) { // at most 3 files are begun, of 4
			n := min(1+random.IntN(70), len(text)-written)
			log.Write([]byte(text[written : written+n]))
			written += n
		}
		read(f)
	}
	if out.String() != text {
		t.Errorf("%d bytes were read of %d", out.Len(), len(text))
	}
	// Who comes late has what is kept, and the last lines over all files.
	for _, tail := range []int{1, 5, 12, 25} {
		f, out := reader(tail)
		read(f)
		if want := lines(2000-tail, 2000); out.String() != want {
			t.Errorf("the last %d lines: %q", tail, out.String())
		}
	}
	// Who is too slow is told.
	for range 100 {
		log.Write([]byte("another line\n"))
	}
	out.Reset()
	read(f)
	// A write never falls into two files, so the oldest one begins with a line.
	if !strings.Contains(out.String(), "another line\n[nexus] output may be missing here: it was written faster than it was read\nanother line\n") {
		t.Errorf("%q", out.String())
	}
}

func TestTails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	var text strings.Builder
	for i := range 50_000 {
		fmt.Fprintln(&text, i)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines, want := range map[int]string{1: "49999\n", 2: "49998\n49999\n", 60_000: text.String(), 40_000: text.String()[strings.Index(text.String(), "\n10000\n")+1:]} {
		at, _, err := tailOffset(file, lines, true)
		if err != nil || text.String()[at:] != want {
			t.Errorf("the last %d lines begin at %d, %v", lines, at, err)
		}
	}
}
