package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ainexus.io/nexus"
)

func open(t *testing.T, path string, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func job(id string) Record {
	return Record{
		Job: nexus.Job{ID: id, User: "ada", Phase: nexus.Pending, Submitted: time.Unix(1_700_000_000, 0).UTC(),
			Spec: nexus.Spec{Name: "job-" + id, Type: nexus.Training, Queue: "default", Nodes: nexus.Range{Min: 1, Max: 1}, Run: nexus.Command{Shell: "true"}}},
		Kept: Kept{Workdir: "/tmp", Env: map[string]string{"PATH": "/bin"}},
	}
}

func insert(r Record, key string) func(*Tx) error {
	return func(tx *Tx) error {
		if err := tx.Insert(r, key); err != nil {
			return err
		}
		return tx.Event(nexus.Event{Job: r.Job.ID, Kind: nexus.EventPhase, Message: "Pending"})
	}
}

// Many submits at once share their commits; the view hears of each of them before its submitter does, in order.
func TestABurstOfSubmits(t *testing.T) {
	var mu sync.Mutex
	seen, last, commits := map[string]bool{}, uint64(0), 0
	path := filepath.Join(t.TempDir(), "nexus.db")
	s := open(t, path, Options{Committed: func(records []Record, events []nexus.Event) {
		mu.Lock()
		defer mu.Unlock()
		commits++
		for _, r := range records {
			seen[r.Job.ID] = true
		}
		for _, e := range events {
			if e.Seq != last+1 {
				t.Errorf("event %d came after %d", e.Seq, last)
			}
			last = e.Seq
		}
	}})
	const jobs = 1000
	var group errgroup.Group
	group.SetLimit(100)
	began := time.Now()
	for i := range jobs {
		group.Go(func() error {
			id := fmt.Sprintf("job%04d", i)
			if err := s.Do(t.Context(), insert(job(id), "")); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if !seen[id] {
				return fmt.Errorf("%s was acknowledged before the view knew it", id)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d submits in %d commits: %.0f/s", jobs, commits, jobs/time.Since(began).Seconds())
	if commits >= jobs {
		t.Errorf("%d commits for %d submits: nothing was shared", commits, jobs)
	}
	live, err := s.Live(t.Context())
	if err != nil || len(live) != jobs {
		t.Fatalf("%d live jobs, %v", len(live), err)
	}
	events, err := s.Events(t.Context(), jobs-3, 100)
	if err != nil || len(events) != 3 || events[2].Seq != jobs {
		t.Fatalf("the last events are %v, %v", events, err)
	}
}

func TestARefusedChangeLeavesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "nexus.db"), Options{})
	refusal := errors.New("no")
	var group errgroup.Group
	for i := range 50 {
		group.Go(func() error {
			err := s.Do(t.Context(), func(tx *Tx) error {
				if err := insert(job(fmt.Sprint("id", i)), "")(tx); err != nil {
					return err
				}
				if i%2 == 1 {
					return refusal
				}
				if i%10 == 0 {
					panic("a bug")
				}
				return nil
			})
			if (err == nil) != (i%2 == 0 && i%10 != 0) {
				return fmt.Errorf("change %d: %w", i, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	live, _ := s.Live(t.Context())
	events, _ := s.Events(t.Context(), 0, 100)
	if len(live) != 20 || len(events) != 20 || events[19].Seq != 20 {
		t.Errorf("%d jobs and %d events remain, the last is %v", len(live), len(events), events[len(events)-1])
	}
}

func TestWhatIsFoundAgain(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "a #? %41 dir", "nexus.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(24 * time.Hour)
	s := open(t, path, Options{Now: func() time.Time { return later }})
	a, b, c := job("aaaa1"), job("aaaa2"), job("bbbb1")
	b.Job.Spec.Name, c.Job.Spec.Name = "twin", "twin"
	for _, r := range []Record{a, b, c} {
		if err := s.Do(ctx, insert(r, "key of "+r.Job.ID)); err != nil {
			t.Fatal(err)
		}
	}
	c.Job.Phase, c.Job.Finished = nexus.Succeeded, time.Now()
	if err := s.Do(ctx, func(tx *Tx) error { return tx.Update(c) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(ctx, insert(job("late"), "")); err == nil {
		t.Error("a closed store took a job")
	}

	s = open(t, path, Options{Now: time.Now})
	if got, err := s.Job(ctx, "aaaa1"); err != nil || got.Env["PATH"] != "/bin" || got.Job.Spec.Run.Shell != "true" {
		t.Errorf("aaaa1 came back as %+v, %v", got, err)
	}
	if _, err := s.Job(ctx, "zzzz"); !Missing(err) {
		t.Errorf("a job nobody made: %v", err)
	}
	if id, err := s.Named(ctx, "twin"); id != "aaaa2" || err != nil {
		t.Errorf("the twin that is not over is aaaa2, not %q, %v", id, err)
	}
	if ids, err := s.Prefixed(ctx, "aaaa", 5); len(ids) != 2 || err != nil {
		t.Errorf("ids that begin with aaaa: %v, %v", ids, err)
	}
	if mark, err := s.Mark(ctx); err != nil || mark.Sub(later).Abs() > time.Millisecond {
		t.Errorf("the mark is %v, not %v, %v", mark, later, err)
	}
	for _, row := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "bbbb1 aaaa2 aaaa1"},
		{Filter{Live: true}, "aaaa2 aaaa1"},
		{Filter{Phases: []nexus.Phase{nexus.Succeeded, nexus.Failed}}, "bbbb1"},
		{Filter{Name: "twin", Limit: 1}, "bbbb1"},
		{Filter{Before: "bbbb1", Limit: 1}, "aaaa2"},
		{Filter{Owner: "eve"}, ""},
	} {
		list, err := s.List(ctx, row.f)
		var ids []string
		for _, r := range list {
			ids = append(ids, r.Job.ID)
		}
		if err != nil || strings.Join(ids, " ") != row.want {
			t.Errorf("List(%+v) = %v, %v", row.f, ids, err)
		}
	}
	err := s.Do(ctx, func(tx *Tx) error {
		if id, err := tx.Submitted("ada", "key of aaaa2"); id != "aaaa2" || err != nil {
			t.Errorf("the key leads to %q, %v", id, err)
		}
		id, err := tx.Submitted("eve", "key of aaaa2")
		if id != "" {
			t.Errorf("another user's key leads to %q", id)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "nexus.db"), Options{Events: 10})
	old := time.Now().Add(-time.Hour)
	for i := range 20 {
		r := job(fmt.Sprintf("id%02d", i))
		r.Job.Phase, r.Job.Finished = nexus.Failed, old.Add(time.Duration(i)*time.Minute)
		if i == 0 {
			r.Job.Phase = nexus.Running
		}
		if err := s.Do(ctx, insert(r, "k"+r.Job.ID)); err != nil {
			t.Fatal(err)
		}
	}
	events, _ := s.Events(ctx, 0, 100)
	if len(events) != 10 || events[0].Seq != 11 {
		t.Errorf("%d events are kept, from %v", len(events), events)
	}
	if ids, err := s.Stale(ctx, old.Add(3*time.Minute), 100, 100); err != nil || fmt.Sprint(ids) != "[id01 id02]" {
		t.Errorf("too old are %v, %v", ids, err)
	}
	ids, err := s.Stale(ctx, old, 15, 3)
	if err != nil || fmt.Sprint(ids) != "[id01 id02 id03]" {
		t.Errorf("too many are %v, %v", ids, err)
	}
	if dropped, err := s.Prune(ctx, append(ids, "id00", "gone")); err != nil || dropped[nexus.Failed] != 3 {
		t.Fatalf("pruned %v, %v", dropped, err)
	}
	if _, err := s.Job(ctx, "id02"); !Missing(err) {
		t.Errorf("id02 is still there: %v", err)
	}
	if _, err := s.Job(ctx, "id00"); err != nil {
		t.Errorf("a running job was forgotten: %v", err)
	}
}

// What cannot be used is refused in words, and left as it is.
func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	s := open(t, newer, Options{})
	if err := s.exec(context.Background(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for path, want := range map[string]string{
		garbage:                                  "are damaged",
		newer:                                    "newer release (version 99, this one knows 4)",
		dir:                                      "cannot be opened",
		filepath.Join(dir, "absent", "nexus.db"): "cannot be",
	} {
		before, _ := os.ReadFile(path)
		_, err := Open(t.Context(), path, Options{})
		var said *nexus.Error
		if !errors.As(err, &said) || !strings.Contains(said.Message, want) || said.Hint == "" {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s was changed", path)
		}
	}
}
