package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"ainexus.io/nexus"
)

func member(id, array, name string, index int) Record {
	r := job(id)
	r.Job.Spec.Name = fmt.Sprintf("%s-%d", name, index)
	r.Job.Member = &nexus.Member{Array: array, Name: name, Index: index, Size: 2}
	return r
}

// Who waits for whom, and what a name means, is found again.
func TestArraysAndWhoAwaitsThem(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "nexus.db")
	s := open(t, path, Options{})
	for _, r := range []Record{job("early"), member("mem0", "arr", "sweep", 0), member("mem1", "arr", "sweep", 1), job("late1"), job("late2")} {
		if err := s.Do(ctx, insert(r, "")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Do(ctx, func(tx *Tx) error {
		for _, id := range []string{"late2", "late1", "late1"} {
			if err := tx.Await(id, "arr"); err != nil {
				return err
			}
		}
		return tx.Event(nexus.Event{Job: "late1"})
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, Options{})
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, not %v, %v", what, got, want, err)
		}
	}
	if err := s.Do(ctx, func(tx *Tx) error {
		ids, err := tx.Waiting("arr")
		check("who waits", ids, "[late1 late2]", err)
		for ref, want := range map[string]string{"early": "early/", "arr": "/arr", "sweep": "/arr", "sweep-1": "mem1/", "job-late1": "late1/", "none": "/"} {
			id, array, err := tx.Newest("ada", ref)
			check(ref, id+"/"+array, want, err)
		}
		id, array, err := tx.Newest("eve", "sweep")
		check("another's name", id+"/"+array, "/", err)
		for i, phase := range []nexus.Phase{nexus.Succeeded, nexus.Failed} {
			stands, err := tx.Array("arr")
			check("the array", stands, "", err)
			r, err := tx.Job(fmt.Sprintf("mem%d", i))
			if err != nil {
				return err
			}
			r.Job.Phase = phase
			if err := tx.Update(r); err != nil {
				return err
			}
		}
		stands, err := tx.Array("arr")
		check("the array", stands, nexus.Failed, err)
		return tx.Arrived("arr")
	}); err != nil {
		t.Fatal(err)
	}
	id, err := s.Family(ctx, "sweep")
	check("the family", id, "arr", err)
	id, err = s.Family(ctx, "job-early")
	check("a family of a job", id, "", err)
	ids, err := s.Arrays(ctx, "ar", 5)
	check("arrays", ids, "[arr]", err)
	ids, err = s.Members(ctx, "arr")
	check("members", ids, "[mem0 mem1]", err)
	records, err := s.List(ctx, Filter{Name: "sweep"})
	check("listed by name", len(records), 2, err)
	records, err = s.List(ctx, Filter{Array: "arr", Phases: []nexus.Phase{nexus.Failed}})
	check("listed by array", len(records), 1, err)
	if err := s.Do(ctx, func(tx *Tx) error {
		ids, err := tx.Waiting("arr")
		check("who still waits", ids, "[]", err)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Records of the first release are brought up to date, and nothing of them is lost.
func TestRecordsOfTheFirstRelease(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "nexus.db")
	s := open(t, path, Options{})
	if err := s.Do(ctx, insert(job("old"), "key")); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DROP TABLE lessons", "DROP TABLE queues", "DROP TABLE uses", "DROP TABLE history", "DROP TABLE awaits", "DROP INDEX jobs_array", "DROP INDEX jobs_family", "ALTER TABLE jobs DROP COLUMN array", "ALTER TABLE jobs DROP COLUMN family",
		"DELETE FROM goose_db_version WHERE version_id > 1",
	} {
		if err := s.exec(ctx, statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, Options{})
	if r, err := s.Job(ctx, "old"); err != nil || r.Job.Spec.Name != "job-old" {
		t.Errorf("the job came back as %+v, %v", r.Job, err)
	}
	if err := s.Do(ctx, insert(member("new", "arr", "sweep", 0), "")); err != nil {
		t.Fatal(err)
	}
}
