package jobfile_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

const twoQueues = `# what the institute has
name: org
quota: [{gpus: 16, gpu_memory: 80GiB}, {gpu_model: H100, gpus: 8}]
---
name: nlp
parent: org
quota:
  - {gpus: 8, gpu_memory: 0, cpu: 500m}
borrow_limit: 4
lend_limit: 0
weight: 2
order: fair
per_user: {gpus: 4, jobs: 3, queued: 100}
max_duration_default: 24h
price_per_gpu_hour: 2.50
users: [ada, grace]
`

func TestQueuesAreRead(t *testing.T) {
	queues, notices, err := jobfile.ParseQueues([]byte(twoQueues), "queues.yaml")
	if err != nil {
		t.Fatal(jobfile.Explain("queues.yaml", err))
	}
	eight, sixteen, four, none := 8, 16, 4, 0
	much, half, nothing := nexus.MiB(80<<10), nexus.CPU(500), nexus.MiB(0)
	want := []nexus.Queue{
		{Name: "org", Quota: []nexus.Quota{{GPUs: &sixteen, GPUMemory: &much}, {GPUModel: "H100", GPUs: &eight}}},
		{Name: "nlp", Parent: "org", Quota: []nexus.Quota{{GPUs: &eight, GPUMemory: &nothing, CPU: &half}}, BorrowLimit: &four, LendLimit: &none,
			Weight: 2, Order: nexus.OrderFair, PerUser: nexus.PerUser{GPUs: 4, Jobs: 3, Queued: 100},
			MaxDurationDefault: 24 * 3600e9, PricePerGPUHour: 2500, Users: []string{"ada", "grace"}},
	}
	if !reflect.DeepEqual(queues, want) {
		t.Errorf("got  %s\nwant %s", text(queues), text(want))
	}
	if len(notices) != 1 || !strings.HasPrefix(notices[0].Message, "quota[1].gpus of queue org ") {
		t.Errorf("notices: %+v", notices)
	}
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Every mistake is told at once, with its place and what was meant.
func TestQueuesAreRefused(t *testing.T) {
	_, _, err := jobfile.ParseQueues([]byte("name: Big Team\nqouta: [{gpus: 8}]\n---\nname: b\nparent: b\nquota: [{gpu: 8}, {gpus: -1}, {gpus: 2}]\n"+
		"order: fiar\nweight: 0\nborrow_limit: lots\nmin_run_time: soon\nmax_preemptions: -1\nper_user: {jobs: 0}\n---\nname: b\nresources: 3\n"), "q.yaml")
	got := jobfile.Explain("q.yaml", err)
	want := `error: q.yaml:1:7: name: "Big Team" is no name
hint: use a-z, 0-9, and - _ . inside, at most 63 characters
error: q.yaml:2:1: unknown field "qouta"
hint: did you mean quota?
error: q.yaml:5:9: parent is the queue itself
hint: leave it out for a queue of its own
error: q.yaml:6:10: unknown field "gpu" under quota[0]
hint: did you mean gpus?
error: q.yaml:6:19: quota[1] is a second row for all GPUs
hint: write one row for each model, and one without a model for all
error: q.yaml:6:26: quota[1].gpus: -1 is no number of GPUs
error: q.yaml:6:31: quota[2] is a second row for all GPUs
hint: write one row for each model, and one without a model for all
error: q.yaml:7:8: order: "fiar" is none of priority, fifo, fair, shortest
hint: did you mean fair?
error: q.yaml:8:9: weight: 0 is not from 1 to 1000
error: q.yaml:9:15: borrow_limit: "lots" is not a whole number
error: q.yaml:10:15: min_run_time: "soon" is not a length of time such as 90s, 15m, 24h or 7d
error: q.yaml:11:18: max_preemptions: -1 is not from 0 to 1000000
hint: leave it out for what the parent says, else 16
error: q.yaml:12:18: per_user.jobs: 0 is no limit
hint: leave it out for no limit
error: q.yaml:14:7: name: "b" is there twice
hint: give each queue one document
error: q.yaml:15:1: unknown field "resources"
hint: it takes name, parent, quota, borrow_limit, lend_limit, weight, order, time_slicing, min_run_time, max_preemptions, scale_up, per_user, max_duration_default, price_per_gpu_hour, users
`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
	for data, want := range map[string]string{"": "is empty", "- a": "is a list", "name: [": "missing here", "{}": "name is missing", "\xff": "not UTF-8"} {
		var errs nexus.Errors
		if _, _, err := jobfile.ParseQueues([]byte(data), ""); !errors.As(err, &errs) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// A queue that was written down reads back the same, as YAML and as JSON.
func TestQueuesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string) *int {
			if rapid.Bool().Draw(t, name+" said") {
				n := rapid.IntRange(0, 5000).Draw(t, name)
				return &n
			}
			return nil
		}
		q := nexus.Queue{Name: rapid.StringMatching(`[a-z][a-z0-9]{0,9}`).Draw(t, "name"), BorrowLimit: number("borrow"), LendLimit: number("lend"),
			Weight: rapid.IntRange(1, 1000).Draw(t, "weight"), Order: rapid.SampledFrom(nexus.QueueOrders()).Draw(t, "order"),
			TimeSlicing: rapid.Bool().Draw(t, "slicing"), MaxPreemptions: number("preemptions"), PerUser: nexus.PerUser{Jobs: rapid.IntRange(0, 9).Draw(t, "jobs")},
			PricePerGPUHour: nexus.Money(rapid.IntRange(0, 1e6).Draw(t, "price")), Users: []string{rapid.StringMatching(`[ -~]{1,9}x`).Draw(t, "user")}}
		if n := number("seconds"); n != nil {
			least := nexus.Duration(*n) * nexus.Duration(time.Second)
			q.MinRunTime = &least
		}
		cpu := nexus.CPU(rapid.IntRange(0, 1e6).Draw(t, "cpu"))
		q.Quota = []nexus.Quota{{GPUs: number("gpus"), CPU: &cpu}, {GPUModel: "NVIDIA " + rapid.StringMatching(`[A-Z0-9]{1,9}`).Draw(t, "model"), CPU: &cpu}}
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range [][]byte{jobfile.RenderQueue(q), data} {
			again, _, err := jobfile.ParseQueues(document, "")
			if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], q) {
				t.Fatalf("%s\nreads back as %s, %v", document, text(again), err)
			}
		}
	})
}

// FuzzParseQueues: whatever comes in, errors are sane or the queues read back the same.
func FuzzParseQueues(f *testing.F) {
	f.Add([]byte(twoQueues))
	f.Add([]byte("name: a\nquota: &q [{gpus: 1}]\n---\nname: b\nquota: *q\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		queues, _, err := jobfile.ParseQueues(data, "")
		if err != nil {
			var errs nexus.Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("err = %v, which is no list of errors", err)
			}
			sane(t, errs)
			return
		}
		for _, q := range queues {
			again, _, err := jobfile.ParseQueues(jobfile.RenderQueue(q), "")
			if err != nil || text(again) != text([]nexus.Queue{q}) {
				t.Fatalf("%s\nreads back as %s, %v", jobfile.RenderQueue(q), text(again), err)
			}
		}
	})
}
