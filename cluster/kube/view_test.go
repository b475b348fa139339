package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

func object(id, version string, phase nexus.Phase, attempt int) *v1alpha1.NexusJob {
	o := &v1alpha1.NexusJob{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: id, UID: types.UID(id), ResourceVersion: version}}
	o.Spec.Run = v1alpha1.Any{Raw: []byte(`"train"`)}
	o.Spec.Resources.GPUs = v1alpha1.Any{Raw: []byte(`2`)}
	o.Status.Phase, o.Status.Attempt = string(phase), attempt
	if phase.Live() {
		o.Status.Seats = []v1alpha1.Seat{{Node: "n1", Workers: 2, GPUs: []int{0, 1}, CPU: 2000}}
	}
	return o
}

func told(v *view) nexus.Delta { return v.delta() }

// The pods of a living attempt are what the planner placed. When it is over, what still lives of it is a stranger's,
// until it is gone: nobody gets its seats before.
func TestWhatAnAttemptLeavesBehindStillTakes(t *testing.T) {
	v := newView()
	n := nodeOf(machine("n1"))
	v.setNode("n1", &n)
	v.setJob(object("a", "5", nexus.Running, 1))
	p := &pod{namespace: "team", name: "a-1-0", job: "a", attempt: 1, node: "n1", running: true, cpu: 2000, gpus: 2}
	v.setPod("team", "a-1-0", p)
	d := told(v)
	if !d.Full || len(d.Nodes) != 1 || d.Nodes[0].Taken != (nexus.Taken{}) || len(d.Jobs) != 1 || d.Jobs[0].Placement == nil {
		t.Fatalf("at first: %+v", d)
	}
	v.setJob(object("a", "6", nexus.Pending, 1))
	d = told(v)
	if len(d.Nodes) != 1 || d.Nodes[0].Taken.CPU != 2000 || !d.Nodes[0].GPUs[7].Taken || !d.Nodes[0].GPUs[6].Taken || d.Nodes[0].GPUs[5].Taken {
		t.Fatalf("while its pod ends: %+v", d.Nodes)
	}
	v.setPod("team", "a-1-0", nil)
	if d = told(v); len(d.Nodes) != 1 || d.Nodes[0].Taken != (nexus.Taken{}) || d.Nodes[0].GPUs[7].Taken {
		t.Fatalf("when it is gone: %+v", d.Nodes)
	}
	if d = told(v); !d.Empty() {
		t.Fatalf("nothing happened: %+v", d)
	}
}

// A pod that nobody here made counts from its binding to its end.
func TestForeignPodsCount(t *testing.T) {
	v := newView()
	n := nodeOf(machine("n1"))
	v.setNode("n1", &n)
	told(v)
	v.setPod("x", "p", &pod{namespace: "x", name: "p", cpu: 1000, gpus: 8})
	if d := told(v); !d.Empty() {
		t.Fatalf("it is not bound: %+v", d)
	}
	v.setPod("x", "p", &pod{namespace: "x", name: "p", cpu: 1000, gpus: 8, node: "n1"})
	if d := told(v); len(d.Nodes) != 1 || d.Nodes[0].Taken.CPU != 1000 || !d.Nodes[0].GPUs[0].Taken {
		t.Fatalf("it is bound: %+v", d)
	}
	v.setPod("x", "p", &pod{namespace: "x", name: "p", cpu: 1000, gpus: 8, node: "n1", over: true})
	if d := told(v); len(d.Nodes) != 1 || d.Nodes[0].Taken.CPU != 0 || d.Nodes[0].GPUs[0].Taken {
		t.Fatalf("it is over: %+v", d)
	}
}

// What we wrote counts before the watch brings it, and what the watch brings late changes nothing.
func TestNewsThatIsOldIsNoNews(t *testing.T) {
	v := newView()
	v.setJob(object("a", "7", nexus.Starting, 1))
	told(v)
	v.setJob(object("a", "6", nexus.Pending, 0))
	if d := told(v); !d.Empty() {
		t.Fatalf("an older version is told: %+v", d)
	}
	if s, _ := v.look("a", time.Time{}); s.job.Phase != nexus.Starting {
		t.Errorf("it is %s", s.job.Phase)
	}
}

// A spec that cannot be had here never reaches the planner.
func TestWhatCannotBeHadIsNotPlanned(t *testing.T) {
	v := newView()
	o := object("a", "1", "", 0)
	o.Spec.Resources = v1alpha1.Resources{GPUMemory: v1alpha1.Any{Raw: []byte(`"10GiB"`)}}
	v.setJob(o)
	if d := told(v); len(d.Jobs) != 0 {
		t.Errorf("the planner is told %+v", d.Jobs)
	}
	s, _ := v.look("a", time.Time{})
	if want := "spec.resources.gpu_memory: this cluster cannot share GPUs; ask for a whole one: resources: {gpus: 1}"; s.wrong == nil || refusal(s.wrong) != want {
		t.Errorf("it is told %q", refusal(s.wrong))
	}
}

// A spec is read when it is another; the status alone changes far more often.
func TestASpecIsReadOnceForEachGeneration(t *testing.T) {
	v := newView()
	o := object("a", "5", nexus.Pending, 0)
	o.Generation = 1
	v.setJob(o)
	o = object("a", "6", nexus.Running, 1)
	o.Generation = 1
	o.Spec.Resources.GPUs = v1alpha1.Any{Raw: []byte(`3`)} // the API server would not let that be
	v.setJob(o)
	if r := v.jobs["a"]; r.job.Spec.Resources.GPUs.N != 2 || r.job.Phase != nexus.Running || r.job.Placement == nil || r.job.Spec.Name != "a" {
		t.Errorf("another status: %+v", r.job)
	}
	for version, run := range map[string]string{"7": `"train"`, "8": `""`} {
		o = object("a", version, nexus.Pending, 1)
		o.Generation, o.Spec.Run = 2, v1alpha1.Any{Raw: []byte(run)}
		o.Spec.Resources.GPUs = v1alpha1.Any{Raw: []byte(`3`)}
		w := newView()
		w.setJob(object("a", "6", nexus.Pending, 1))
		w.setJob(o)
		if r := w.jobs["a"]; (r.wrong == nil) != (version == "7") || version == "7" && r.job.Spec.Resources.GPUs.N != 3 {
			t.Errorf("another spec that runs %s: %+v, %v", run, r.job.Spec, r.wrong)
		}
		o = o.DeepCopy()
		o.ResourceVersion = "9" // a status; what is wrong with the spec is still wrong
		w.setJob(o)
		if r := w.jobs["a"]; (r.wrong == nil) != (version == "7") {
			t.Errorf("the same spec that runs %s: %v", run, r.wrong)
		}
	}
}

// What we wrote comes back by the watch: one copy of it is kept.
func TestAnEchoTakesThePlaceOfWhatWasWritten(t *testing.T) {
	v := newView()
	v.setJob(object("a", "5", nexus.Running, 1))
	told(v)
	echo := object("a", "5", nexus.Running, 1)
	v.setJob(echo)
	if v.jobs["a"].object != echo {
		t.Error("two copies are kept")
	}
	if d := told(v); !d.Empty() {
		t.Errorf("it is told twice: %+v", d)
	}
}

// In a storm of jobs with which nothing is amiss some of their Events are left out, and none of another's.
func TestEventsThatSayNothingNewAreBounded(t *testing.T) {
	p := &Place{view: newView(), born: time.Now(), usual: flowcontrol.NewTokenBucketRateLimiter(usualRate, usualBurst)}
	p.events = make(chan *corev1.Event, 10*usualBurst)
	o := object("a", "5", nexus.Running, 1)
	for range usualBurst {
		p.tell(o, "Running")
	}
	for range 2 * usualBurst {
		p.tell(o, "Admitted")
	}
	for range usualBurst {
		p.tell(o, "Preempted")
	}
	told := map[string]int{}
	for len(p.events) > 0 {
		told[(<-p.events).Reason]++
	}
	if told["Running"] != usualBurst || told["Admitted"] >= 2*usualBurst || told["Preempted"] != usualBurst {
		t.Errorf("told %v", told)
	}
}

// However many wait to be posted, one that says what is amiss is, and before them.
func TestWarningsAreNotCrowdedOut(t *testing.T) {
	p := &Place{view: newView(), born: time.Now(), ctx: t.Context(), events: make(chan *corev1.Event, 3), warnings: make(chan *corev1.Event, 1)}
	for range 5 {
		p.tell(object("a", "5", nexus.Pending, 0), "Capacity")
	}
	p.tell(object("b", "6", nexus.Failed, 1), "Failed")
	if e := p.next(); e.InvolvedObject.Name != "b" || e.Type != corev1.EventTypeWarning {
		t.Errorf("posted is %s of %s", e.Reason, e.InvolvedObject.Name)
	}
	if e := p.next(); e.Reason != "Capacity" {
		t.Errorf("then %s", e.Reason)
	}
}
