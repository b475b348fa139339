package local

import (
	"os"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// Jobs that are over are forgotten with their directories once there are too many; living ones never are.
func TestHistoryIsForgotten(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	opts.History = 3
	p := start(t, opts)
	lasting := submit(t, p, "sleep 60")
	awaitPhase(t, p, lasting.ID, nexus.Running)
	var ids []string
	for range 6 {
		job := submit(t, p, "true")
		awaitPhase(t, p, job.ID, nexus.Succeeded)
		ids = append(ids, job.ID)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, err := p.List(t.Context(), api.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d jobs are kept", len(list))
		}
	}
	if _, err := p.Job(t.Context(), ids[0]); refusal(err).Code != nexus.CodeNotFound {
		t.Errorf("the oldest: %v", err)
	}
	if _, err := os.Stat(string(p.dirOf(ids[0], 1))); !os.IsNotExist(err) {
		t.Errorf("its directory: %v", err)
	}
	if _, err := p.Job(t.Context(), ids[5]); err != nil {
		t.Errorf("the newest: %v", err)
	}
	if counts := p.Counts(); counts[nexus.Succeeded] != 3 || counts[nexus.Running] != 1 {
		t.Errorf("jobs by phase: %v", counts)
	}
}
