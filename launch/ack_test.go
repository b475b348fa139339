package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // sha256 of "hello"

func TestAnAcknowledgementIsBelievedOnlyWithItsCheckpoint(t *testing.T) {
	good := nexus.Manifest{Step: 7, Files: []nexus.ManifestFile{{Name: "c/part", Size: 5, SHA256: hello}}}
	with := func(change func(m *nexus.Manifest)) *nexus.Manifest {
		m := nexus.Manifest{Step: good.Step, Files: []nexus.ManifestFile{good.Files[0]}}
		change(&m)
		return &m
	}
	for _, test := range []struct {
		name     string
		ack      *nexus.Ack
		manifest *nexus.Manifest
		err      string // empty: believed
	}{
		{"a good one", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, &good, ""},
		{"of another attempt", &nexus.Ack{Attempt: "j/2", Step: 7, Path: "c"}, &good, `is for "j/2"`},
		{"without a manifest", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, nil, "no such file"},
		{"of another step", &nexus.Ack{Attempt: "j/1", Step: 8, Path: "c"}, &good, "is of step 7, not 8"},
		{"of no file", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, with(func(m *nexus.Manifest) { m.Files = nil }), "names no file"},
		{"cut short", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, with(func(m *nexus.Manifest) { m.Files[0].Size = 6 }), "has 5 bytes, not 6"},
		{"changed", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, with(func(m *nexus.Manifest) { m.Files[0].SHA256 = "00" }), "checksum differs"},
		{"a file is gone", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, with(func(m *nexus.Manifest) { m.Files[0].Name = "c/gone" }), "no such file"},
		{"somewhere else", &nexus.Ack{Attempt: "j/1", Step: 7, Path: "c"}, with(func(m *nexus.Manifest) { m.Files[0].Name = "../../etc/passwd" }), "somewhere else"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, work := attempt.Dir(t.TempDir()), t.TempDir()
			if err := os.Mkdir(filepath.Join(work, "c"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(work, "c", "part"), []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			leave(dir.AckFile(), test.ack)
			if test.manifest != nil {
				leave(filepath.Join(work, "c"+nexus.ManifestSuffix), test.manifest)
			}
			ack, err := acknowledged(dir, "j/1", work)
			switch {
			case test.err == "" && (err != nil || ack == nil || ack.Path != filepath.Join(work, "c")):
				t.Errorf("%+v %v", ack, err)
			case test.err != "" && (ack != nil || err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%+v %v", ack, err)
			}
		})
	}
	if ack, err := acknowledged(attempt.Dir(t.TempDir()), "j/1", "/"); ack != nil || err != nil {
		t.Errorf("nobody acknowledged: %+v %v", ack, err)
	}
}

func TestWhatACgroupIsToHold(t *testing.T) {
	gpu := []nexus.SeatGPU{{Index: 0}}
	for _, test := range []struct {
		name string
		said nexus.CPU // by the job
		seat nexus.Seat
		want proc.Limits
	}{
		{"a cpu job", 2000, nexus.Seat{Workers: 2, CPU: 2000, Memory: 4096}, proc.Limits{Memory: 4 << 30, CPU: 2000}},
		{"a gpu job that did not say", 1000, nexus.Seat{Workers: 1, CPU: 1000, GPUs: gpu}, proc.Limits{}},
		{"a gpu job that did", 8000, nexus.Seat{Workers: 1, CPU: 8000, GPUs: gpu}, proc.Limits{CPU: 8000}},
	} {
		a := agent{order: nexus.Order{Limits: true, Seat: test.seat}}
		a.order.Spec.Resources.CPU = test.said
		if got := a.limits(); got != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
		a.order.Limits = false
		if got := a.limits(); got != (proc.Limits{}) {
			t.Errorf("%s, without limits: %+v", test.name, got)
		}
	}
}
