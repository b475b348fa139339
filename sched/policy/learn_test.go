package policy

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

var start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// job asks for GPUs in a queue at a minute.
func job(id, queue string, gpus int, minute int) *nexus.Job {
	return &nexus.Job{ID: id, Phase: nexus.Pending, Submitted: start.Add(time.Duration(minute) * time.Minute),
		Spec: nexus.Spec{Queue: queue, Nodes: nexus.Range{Min: 1, Max: 1}, Resources: nexus.Resources{GPUs: nexus.GPUCount{N: gpus}}}}
}

// over ends a job after so long.
func over(j *nexus.Job, ran time.Duration) *nexus.Job {
	j.Phase, j.Started, j.Finished = nexus.Succeeded, j.Submitted, j.Submitted.Add(ran)
	return j
}

func TestAnHistoryOfShortJobsExpectsShortOnes(t *testing.T) {
	var h nexus.History
	for i := range 50 {
		LearnEnd(&h, over(job(fmt.Sprint("s", i), "vision", 1, i), 10*time.Minute))
		LearnEnd(&h, over(job(fmt.Sprint("l", i), "language", 8, i), 20*time.Hour))
	}
	o := Look(&h)
	short, long := o.Expect(job("a", "vision", 1, 60), 0), o.Expect(job("b", "language", 8, 60), 0)
	if short.Median < 8*time.Minute || short.Median > 13*time.Minute || !short.Known {
		t.Errorf("vision on one GPU: %+v, want about 10 minutes", short)
	}
	if long.Median < 16*time.Hour || long.Median > 25*time.Hour {
		t.Errorf("language on eight GPUs: %+v, want about 20 hours", long)
	}
	if strange := o.Expect(job("c", "robotics", 3, 60), 0); strange.Known {
		t.Errorf("nobody of that queue or size ended yet, but %+v", strange)
	}
}

func TestWhoOutlivesHisKindIsExpectedToRunOn(t *testing.T) {
	var h nexus.History
	for i := range 50 {
		LearnEnd(&h, over(job(fmt.Sprint(i), "q", 1, i), 10*time.Minute))
	}
	if e := Look(&h).Expect(job("a", "q", 1, 60), 30*24*time.Hour); e.Median != 60*24*time.Hour {
		t.Errorf("after 30 days: %+v, want 60 days in total", e)
	}
}

func TestPreemptedJobsTeachNothingYet(t *testing.T) {
	var h nexus.History
	j := over(job("a", "q", 1, 0), time.Hour)
	j.Phase = nexus.Pending
	if LearnEnd(&h, j); h.Version != 0 || len(h.Runs) > 0 {
		t.Errorf("learnt %+v from a job that waits", h)
	}
	j.Phase, j.Served = nexus.Succeeded, nexus.Duration(7*time.Hour)
	LearnEnd(&h, j)
	if e := Look(&h).Expect(job("b", "q", 1, 9), 6*time.Hour); e.Median < 7*time.Hour || e.Median > 11*time.Hour {
		t.Errorf("an hour after seven: %+v, want about eight hours", e)
	}
}

func anyJob(t *rapid.T) *nexus.Job {
	j := job(rapid.StringMatching(`[a-z]{4}`).Draw(t, "id"), fmt.Sprint("queue", rapid.IntRange(0, 400).Draw(t, "queue")),
		rapid.IntRange(0, 16).Draw(t, "gpus"), rapid.IntRange(0, 1e6).Draw(t, "minute"))
	j.Spec.Name = rapid.StringMatching(`[a-z]{0,40}[0-9]?`).Draw(t, "name")
	return over(j, time.Duration(rapid.Int64Range(0, 1<<55).Draw(t, "ran")))
}

func TestHistoryIsBoundedOrderedAndSaysTheSameTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs := rapid.SliceOfN(rapid.Custom(anyJob), 1, 300).Draw(t, "jobs")
		var h, again nexus.History
		for _, j := range jobs {
			LearnEnd(&h, j)
		}
		for _, j := range jobs {
			LearnEnd(&again, j)
		}
		text, err := json.Marshal(h)
		if err != nil || len(text) > 64<<10 {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		if twice, _ := json.Marshal(again); string(twice) != string(text) {
			t.Fatalf("not the same twice")
		}
		if err := CheckHistory(&h); err != nil {
			t.Fatal(err)
		}
		o := Look(&h)
		for _, j := range jobs {
			ran := time.Duration(rapid.Int64Range(0, 1<<55).Draw(t, "so far"))
			e := o.Expect(j, ran)
			if e.Low > e.Median || e.Median > e.High || e.Low < ran.Truncate(time.Second) || e.Mean < ran.Truncate(time.Second) {
				t.Fatalf("after %v: %+v", ran, e)
			}
		}
	})
}
