package local

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func TestAJobFromSubmitToItsEnd(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	job := submit(t, p, "echo hello; pwd")
	v := awaitPhase(t, p, job.ID, nexus.Succeeded)
	if v.Result == nil || !v.Result.OK || v.Attempt != 1 || v.Finished.Before(v.Started) {
		t.Errorf("it ended as %+v", v.Job)
	}
	var out strings.Builder
	if err := p.Logs(t.Context(), "story", api.LogQuery{Round: -1, Rank: -1, Follow: true}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "[0] hello\n[0] " + v.Workdir + "\n"; out.String() != want {
		t.Errorf("its output is %q, not %q", out.String(), want)
	}
	events, err := p.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Pending: ", "Starting: ", "Succeeded: "} {
		if e := next(events); !strings.HasPrefix(e.Message, want) || e.Job != job.ID {
			t.Errorf("the next event is %+v, not %s", e, want)
		}
	}
}

func TestEventsFromNow(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	first := submit(t, p, "true")
	awaitPhase(t, p, first.ID, nexus.Succeeded)
	events, err := p.Events(t.Context(), api.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	second := submit(t, p, "true")
	if e := <-events; e.Job != second.ID {
		t.Errorf("the first event from now on is %+v", e)
	}
	awaitPhase(t, p, second.ID, nexus.Succeeded)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	for range events { // closed when the place is
	}
}

// next skips that the job was seen to run: a quick one may not be.
func next(events <-chan nexus.Event) nexus.Event {
	e := <-events
	if strings.HasPrefix(e.Message, "Running: ") {
		e = <-events
	}
	return e
}

func TestControl(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	running := submit(t, p, "sleep 60")
	awaitPhase(t, p, running.ID, nexus.Running)
	waiting := submission(t, "true")
	waiting.Spec.Name, waiting.Spec.Resources.CPU = "waits", p.view.machine().CPU
	behind, err := p.Submit(t.Context(), waiting)
	if err != nil {
		t.Fatal(err)
	}
	v := await(t, p, behind.ID, "held", func(v api.JobView) bool { return v.Reason != nil })
	if v.Reason.Code == "" || v.Sentence == "" {
		t.Errorf("it waits for %+v: %s", v.Reason, v.Sentence)
	}
	events, err := p.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Kind == nexus.EventHold && e.Job == behind.ID {
			break
		}
	}

	if job, err := p.SetPriority(t.Context(), "waits", nexus.Low); err != nil || job.Spec.Priority != nexus.Low {
		t.Errorf("its priority is %v, %v", job.Spec.Priority, err)
	}
	if job, err := p.Cancel(t.Context(), "waits"); err != nil || job.Phase != nexus.Cancelled {
		t.Errorf("a waiting job is %s, %v", job.Phase, err)
	}
	if _, err := p.Requeue(t.Context(), running.ID[:6]); refusal(err).Code != nexus.CodeConflict {
		t.Errorf("requeueing a running job: %v", err)
	}
	if job, err := p.Cancel(t.Context(), running.ID); err != nil || job.Phase != nexus.Stopping {
		t.Errorf("a running job is %s, %v", job.Phase, err)
	}
	v = awaitPhase(t, p, running.ID, nexus.Cancelled)
	if v.Result == nil || v.Result.Cause != nexus.CauseCancel {
		t.Errorf("it ended as %+v", v.Result)
	}
	for range 2 { // again changes nothing
		if job, err := p.Cancel(t.Context(), running.ID); err != nil || job.Phase != nexus.Cancelled {
			t.Errorf("cancelled again: %s, %v", job.Phase, err)
		}
	}
	if _, err := p.SetPriority(t.Context(), running.ID, nexus.Low); refusal(err).Code != nexus.CodeConflict {
		t.Errorf("the priority of a job that is over: %v", err)
	}

	if job, err := p.Requeue(t.Context(), "waits"); err != nil || job.Phase != nexus.Pending {
		t.Errorf("requeued: %s, %v", job.Phase, err)
	}
	awaitPhase(t, p, behind.ID, nexus.Succeeded)
	if _, err := p.Requeue(t.Context(), "waits"); err != nil {
		t.Error(err)
	}
	v = await(t, p, behind.ID, "done twice", func(v api.JobView) bool { return v.Phase == nexus.Succeeded && v.Attempt == 2 })
	if v.RestartsUsed != 0 || v.Result.Attempt != 2 {
		t.Errorf("it ended as %+v", v.Job)
	}
	if counts := p.Counts(); counts[nexus.Succeeded] != 1 || counts[nexus.Cancelled] != 1 || counts[nexus.Pending] != 0 || counts[nexus.Running] != 0 {
		t.Errorf("jobs by phase: %v", counts)
	}
}

func TestRefusedSubmits(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	for name, row := range map[string]struct {
		edit func(*api.Submission)
		code nexus.Code
		hint string
	}{
		"two nodes":  {func(s *api.Submission) { s.Spec.Nodes = nexus.Range{Min: 2, Max: 2} }, nexus.CodeUnfit, "--set nodes=1"},
		"queue":      {func(s *api.Submission) { s.Spec.Queue = "research" }, nexus.CodeNotFound, "queue=default"},
		"gpus":       {func(s *api.Submission) { s.Spec.Resources.GPUs.N = 8 }, nexus.CodeUnfit, "resources.gpus"},
		"memory":     {func(s *api.Submission) { s.Spec.Resources.Memory = 1 << 40 }, nexus.CodeUnfit, "resources.memory"},
		"relative":   {func(s *api.Submission) { s.Dir = "here" }, nexus.CodeInvalid, "workdir"},
		"cpus asked": {func(s *api.Submission) { s.Spec.Resources.CPU = 1e9 }, nexus.CodeUnfit, "resources.cpu"},
	} {
		s := submission(t, "true")
		row.edit(&s)
		if _, err := p.Submit(t.Context(), s); refusal(err).Code != row.code || !strings.Contains(refusal(err).Hint, row.hint) {
			t.Errorf("%s: %v (%s)", name, err, refusal(err).Hint)
		}
	}
	if list, err := p.List(t.Context(), api.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("refused jobs are listed: %v, %v", list, err)
	}
	// More workers than cpus is no refusal where nobody spoke of cpus: they share.
	s := submission(t, "true")
	s.Spec.Workers, s.Spec.Resources.CPU = 500, 0
	if job, err := p.Submit(t.Context(), s); err != nil || job.Spec.Resources.CPU != p.view.machine().CPU {
		t.Errorf("it gets %v cpus, %v", job.Spec.Resources.CPU, err)
	}
	// Who says it means it, also where it is one for each worker.
	s.Spec.Resources.CPU = 500_000
	if _, err := p.Submit(t.Context(), s); refusal(err).Code != nexus.CodeUnfit {
		t.Errorf("500 cpus that were asked for: %v", err)
	}
}

func TestAKeyMakesOneJob(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := submission(t, "true")
	s.Key = "once"
	first, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again, err := p.Submit(t.Context(), s); err != nil || again.ID != first.ID {
			t.Errorf("submitted again it is %s, not %s, %v", again.ID, first.ID, err)
		}
	}
	s.User = "eve"
	if other, err := p.Submit(t.Context(), s); err != nil || other.ID == first.ID {
		t.Errorf("another user's job with that key is %s, %v", other.ID, err)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	a, b := submit(t, p, "true"), submit(t, p, "true")
	for ref, want := range map[string]string{a.ID: a.ID, a.ID[:8]: a.ID, "story": b.ID} {
		if ref == "story" {
			awaitPhase(t, p, a.ID, nexus.Succeeded)
		}
		if v, err := p.Job(t.Context(), ref); err != nil || v.ID != want {
			t.Errorf("%s means %s, %v", ref, v.ID, err)
		}
	}
	for _, ref := range []string{"", a.ID[:3], "nobody", "../../etc/passwd", strings.Repeat("x", 500), "a\x00b"} {
		if _, err := p.Job(t.Context(), ref); refusal(err).Code != nexus.CodeNotFound {
			t.Errorf("%.20q: %v", ref, err)
		}
	}
}

// What a job is told in secret is in its environment and nowhere on disk.
func TestSecretsStayInMemory(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	p := start(t, opts)
	s := submission(t, `test ${#TOKEN} = 7`)
	s.Spec.Env = map[string]nexus.EnvValue{"TOKEN": {From: "env:HF"}}
	s.Secrets = map[string]string{"HF": "hunter2"}
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, p, job.ID, nexus.Succeeded)
	err = filepath.WalkDir(opts.State, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("hunter2")) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if len(p.secretsOf(job.ID)) != 0 {
		t.Error("the secret is kept though its job is over")
	}
}
