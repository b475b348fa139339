package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"ainexus.io/api"
	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

func parse(t *testing.T, text string) nexus.Spec {
	t.Helper()
	spec, _, err := jobfile.Parse([]byte(text), jobfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// A job goes over the wire and back, and every verb finds it.
func TestAJobGoesRound(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	spec := parse(t, `{name: mnist, run: [./train, --fast], setup: "make", nodes: 1, workers: 2, priority: high, resources: {gpus: 2, gpu_memory: 40GiB, cpu: 500m},
		env: {A: b, HF_TOKEN: {from: "env:HF_TOKEN"}}, max_duration: 1d12h, checkpoint: {path: ckpt}, restart: {max: 3}, labels: {team: vision}}`)
	sent := api.Submission{Spec: spec, Dir: "/data", Env: map[string]string{"PATH": "/bin"}, Secrets: map[string]string{"HF_TOKEN": "s3"}, User: "somebody else"}
	job, err := d.client.Submit(ctx, sent)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(job.Spec, spec) {
		t.Errorf("the spec came back as\n%+v, not\n%+v", job.Spec, spec)
	}
	sent.User = "owner" // what the request claims does not count
	if got := d.place.subs[0]; !reflect.DeepEqual(got, sent) {
		t.Errorf("the place got\n%+v, not\n%+v", got, sent)
	}
	view, err := d.client.Job(ctx, "mnist")
	if err != nil || view.ID != job.ID || view.Sentence == "" || view.Workdir != "/data" {
		t.Errorf("job: %+v, %v", view, err)
	}
	why, err := d.client.Why(ctx, job.ID[:6])
	if err != nil || why.Job != job.ID || why.Position != 1 || why.Reason.Need != 1 {
		t.Errorf("why: %+v, %v", why, err)
	}
	if got, err := d.client.SetPriority(ctx, "mnist", nexus.Low); err != nil || got.Spec.Priority != nexus.Low {
		t.Errorf("priority: %+v, %v", got, err)
	}
	if got, err := d.client.Hold(ctx, "mnist", "somebody else"); err != nil || got.HeldBy != "owner" {
		t.Errorf("hold: %+v, %v", got, err)
	}
	if got, err := d.client.Release(ctx, "mnist"); err != nil || got.HeldBy != "" {
		t.Errorf("release: %+v, %v", got, err)
	}
	if got, err := d.client.Cancel(ctx, "mnist"); err != nil || got.Phase != nexus.Cancelled {
		t.Errorf("cancel: %+v, %v", got, err)
	}
	if got, err := d.client.Requeue(ctx, "mnist"); err != nil || got.Phase != nexus.Pending {
		t.Errorf("requeue: %+v, %v", got, err)
	}
}

// A dry run says what would be, and submits nothing.
func TestADryRun(t *testing.T) {
	d := newDaemon(t)
	f, err := d.client.Forecast(testContext(t), api.Submission{Spec: parse(t, "{name: later, run: a}"), Dir: "/"})
	if err != nil || f.Why == nil || f.Why.Job != "later" || len(f.Evict) != 1 || f.Evict[0].Name != "victim" {
		t.Errorf("the forecast is %+v, %v", f, err)
	}
	if len(d.place.jobs) != 0 {
		t.Errorf("a dry run submitted %+v", d.place.jobs)
	}
	response, err := d.tcp("POST", "/api/v1/jobs?dry_run=true&dir=/", `{"run": "a"}`)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Location") != "" {
		t.Errorf("it answers %s with Location %q", response.Status, response.Header.Get("Location"))
	}
}

// What there is, what it does and who waits, as a client sees it.
func TestStatus(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	if _, err := d.client.Submit(ctx, api.Submission{Spec: parse(t, "run: a"), Dir: "/"}); err != nil {
		t.Fatal(err)
	}
	nodes, err := d.client.Nodes(ctx)
	if want, _ := d.place.Nodes(ctx); err != nil || !reflect.DeepEqual(nodes, want) {
		t.Errorf("nodes: %+v, %v", nodes, err)
	}
	queues, err := d.client.Queues(ctx)
	if err != nil || len(queues) != 1 || queues[0].Name != "default" || queues[0].Pending != 1 {
		t.Errorf("queues: %+v, %v", queues, err)
	}
	version, err := d.client.Version(ctx)
	if err != nil || version.Version != "test" || version.API != "v1" || version.Addr != d.addr {
		t.Errorf("version: %+v, %v", version, err)
	}
	if err := d.client.Ready(ctx); err != nil {
		t.Error("ready:", err)
	}
}

func TestListsComeInPages(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	for range 5 {
		if _, err := d.client.Submit(ctx, api.Submission{Spec: parse(t, "run: a"), Dir: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	for before := ""; ; {
		jobs, err := d.client.List(ctx, api.Filter{Limit: 2, Before: before, Phases: []nexus.Phase{nexus.Pending, nexus.Running}})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			seen = append(seen, j.ID)
		}
		if len(jobs) < 2 {
			break
		}
		before = jobs[len(jobs)-1].ID
	}
	if len(seen) != 5 || seen[0] <= seen[4] {
		t.Errorf("the pages hold %v", seen)
	}
	if jobs, err := d.client.List(ctx, api.Filter{Phases: []nexus.Phase{nexus.Failed}}); err != nil || len(jobs) != 0 {
		t.Errorf("failed jobs: %v, %v", jobs, err)
	}
	response, err := d.tcp("GET", "/api/v1/jobs?limit=2", "")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var page struct {
		Jobs []map[string]any
		Next string
	}
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil || len(page.Jobs) != 2 || page.Next != page.Jobs[1]["id"] {
		t.Errorf("the page is %+v, %v", page, err)
	}
}

func TestARepeatedSubmitReturnsTheFirstJob(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	s := api.Submission{Spec: parse(t, "run: a"), Dir: "/", Key: "once"}
	first, err := d.client.Submit(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.client.Submit(ctx, s)
	if err != nil || second.ID != first.ID || len(d.place.jobs) != 1 {
		t.Errorf("%s, then %s, %v; %d jobs", first.ID, second.ID, err, len(d.place.jobs))
	}
}

// problem sends a body that is refused and returns the problem.
func (d *daemon) problem(t *testing.T, method, path, body string) (p api.Problem) {
	t.Helper()
	response, err := d.tcp(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("the problem comes as %q", kind)
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if p.Status != response.StatusCode || p.Title == "" || p.Detail == "" {
		t.Errorf("%s: the problem is incomplete: %s", response.Status, data)
	}
	return p
}

func TestProblemsNameThePlace(t *testing.T) {
	d := newDaemon(t)
	p := d.problem(t, "POST", "/api/v1/jobs", "{\"run\": \"a\",\n \"nmae\": \"x\", \"resources\": {\"gpus\": -1}}")
	if p.Status != http.StatusUnprocessableEntity || p.Code != nexus.CodeInvalid || len(p.Errors) != 2 {
		t.Fatalf("%+v", p)
	}
	if e := p.Errors[0]; e.Location != "body.nmae" || e.Line != 2 || e.Column != 2 || !strings.Contains(e.Hint, "name") {
		t.Errorf("the misspelled field: %+v", e)
	}
	if e := p.Errors[1]; e.Location != "body.resources.gpus" {
		t.Errorf("the negative number: %+v", e)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		words              string
	}{
		{"POST", "/api/v1/jobs", `{"job": {"run": "a"}, "dri": "/"}`, 422, "dri"},
		{"POST", "/api/v1/jobs", `{"job": {"run": "a"}, "dir": "data"}`, 422, "absolute"},
		{"POST", "/api/v1/jobs", `{"run": "a"}`, 422, "workdir is relative"},
		{"POST", "/api/v1/jobs", `not a job`, 422, ""},
		{"POST", "/api/v1/jobs?dir=/", `{"run": "a", "resources": {"gpus": 9}}`, 422, "more GPUs"},
		{"PATCH", "/api/v1/jobs/x", `{"priority": "urgent"}`, 422, ""},
		{"GET", "/api/v1/jobs/nobody", ``, 404, "no job nobody"},
		{"GET", "/api/v1/jobs/nobody/logs", ``, 404, "no job nobody"},
		{"GET", "/api/v1/jobs?phase=Lazy", ``, 422, ""},
		{"GET", "/api/v1/jobs?lmit=3", ``, 422, ""},
		{"GET", "/api/v1/events?job=nobody", ``, 404, "no job nobody"},
		{"GET", "/api/v1/nothing", ``, 404, "/openapi.json"},
		{"DELETE", "/api/v1/jobs", `{}`, 404, ""},
	} {
		p := d.problem(t, c.method, c.path, c.body)
		if all, _ := json.Marshal(p); p.Status != c.status || !strings.Contains(string(all), c.words) {
			t.Errorf("%s %s %s: %s", c.method, c.path, c.body, all)
		}
	}
	response, err := d.tcp("POST", "/api/v1/jobs", `{"run": "`+strings.Repeat("a", 1<<20)+`"}`)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a job file of more than a megabyte: %s", response.Status)
	}
}

func TestErrorsComeBackAsTheyWere(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	_, err := d.client.Job(ctx, "nobody")
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.CodeNotFound || e.Message != "there is no job nobody" || e.Hint == "" {
		t.Errorf("%#v", err)
	}
	_, err = d.client.Submit(ctx, api.Submission{Spec: parse(t, "{run: a, resources: {gpus: 99}}"), Dir: "/"})
	if !errors.As(err, &e) || e.Code != nexus.CodeUnfit || e.Field != "resources.gpus" || e.Hint != "--set resources.gpus=8" {
		t.Errorf("%#v", err)
	}
	strangers := http.NewServeMux() // answers 404 to everything
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	go http.Serve(stranger, strangers)
	other, err := api.NewTCPClient(stranger.Addr().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = other.Version(ctx); !errors.As(err, &e) || e.Code != nexus.CodeConflict || !strings.Contains(e.Message, "another version of the API") {
		t.Errorf("%#v", err)
	}
	_, err = api.NewSocketClient("/nonexistent/socket").Version(ctx)
	if !errors.As(err, &e) || e.Code != nexus.CodeUnavailable || !strings.Contains(e.Hint, "nexus up") {
		t.Errorf("%#v", err)
	}
}

func TestProxyCredentialsAreNotShown(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	s := api.Submission{Dir: "/", Spec: parse(t, `{name: p, run: a, env: {HTTPS_PROXY: "http://me:secret@proxy:3128", NO_PROXY: "a,b"}}`)}
	if _, err := d.client.Submit(ctx, s); err != nil {
		t.Fatal(err)
	}
	view, err := d.client.Job(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	if got := view.Spec.Env["HTTPS_PROXY"].Value; got != "http://redacted@proxy:3128" {
		t.Errorf("the proxy is shown as %q", got)
	}
	if got := view.Spec.Env["NO_PROXY"].Value; got != "a,b" {
		t.Errorf("NO_PROXY is shown as %q", got)
	}
	if got := d.place.subs[0].Spec.Env["HTTPS_PROXY"].Value; got != "http://me:secret@proxy:3128" {
		t.Errorf("the job itself gets %q", got)
	}
}
