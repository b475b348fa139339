package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// A plain Job of somebody's that names a queue and is suspended is queued, planned and unsuspended like our own. Its record
// is an annotation on it; to all but this file and foreign_step.go it is a NexusJob.
const (
	// LabelQueue on a suspended batch/v1 Job puts it in that queue.
	LabelQueue = v1alpha1.Group + "/queue"
	// LabelPriority and LabelType are its priority and type; by default normal and training.
	LabelPriority = v1alpha1.Group + "/priority"
	LabelType     = v1alpha1.Group + "/type"
	// LabelPreemptible is "true" on a foreign Job that may be suspended again for others.
	LabelPreemptible = v1alpha1.Group + "/preemptible"
	// AnnotationState is the record of a foreign Job, as the status of a NexusJob; AnnotationReason is for people.
	AnnotationState  = v1alpha1.Group + "/state"
	AnnotationReason = v1alpha1.Group + "/reason"
)

// kindForeign is the kind of an object that stands for a Job of somebody's.
const kindForeign = "Job"

func isForeign(o *v1alpha1.NexusJob) bool { return o.Kind == kindForeign }

// foreigners are the Jobs of others as last told or written.
type foreigners struct {
	mu   sync.Mutex
	jobs map[string]*batchv1.Job // by uid
}

// set keeps the newest of a Job; false where it is older than what is known.
func (f *foreigners) set(j *batchv1.Job) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if there := f.jobs[string(j.UID)]; there != nil && !newer(&j.ObjectMeta, &there.ObjectMeta) {
		return false
	}
	if f.jobs == nil {
		f.jobs = map[string]*batchv1.Job{}
	}
	f.jobs[string(j.UID)] = j
	return true
}

func (f *foreigners) get(id string) *batchv1.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jobs[id]
}

func (f *foreigners) drop(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.jobs, id)
}

func (p *Place) foreignTold(o any) {
	j := o.(*batchv1.Job)
	if !p.foreign.set(j) {
		return
	}
	object := p.standIn(j)
	if object.Status.Phase == string(nexus.Pending) && !suspended(j) { // it was never ours to start, or somebody has
		p.view.dropJob(j)
		return
	}
	p.view.setJob(object)
	p.queue.Add(string(j.UID))
}

func (p *Place) foreignGone(o metav1.Object) {
	p.foreign.drop(string(o.GetUID()))
	p.view.dropJob(o)
}

func suspended(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

// podsOf is how many pods of a Job run at a time: all of them start together or not at all.
func podsOf(j *batchv1.Job) int {
	if n := j.Spec.Parallelism; n != nil {
		return max(1, int(*n))
	}
	return 1
}

// standIn is the NexusJob that stands for a Job. Its pods are planned in equal parts, on as few nodes as could hold them
// were they empty.
func (p *Place) standIn(j *batchv1.Job) *v1alpha1.NexusJob {
	o := &v1alpha1.NexusJob{TypeMeta: metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: kindForeign}, ObjectMeta: j.ObjectMeta}
	if text := j.Annotations[AnnotationState]; text != "" && json.Unmarshal([]byte(text), &o.Status) != nil {
		o.Status = v1alpha1.JobStatus{} // somebody wrote over it: it begins anew
	}
	o.Status.Phase = cmp.Or(o.Status.Phase, string(nexus.Pending))
	switch {
	case succeeded(j):
		o.Status.Phase = string(nexus.Succeeded)
	case failed(j) != nil:
		o.Status.Phase = string(nexus.Failed)
	}
	cpu, memory, gpus := demand(&j.Spec.Template.Spec)
	pods := podsOf(j)
	parts := p.view.parts(pods, cpu, memory, gpus)
	raw := func(format string, args ...any) v1alpha1.Any {
		return v1alpha1.Any{Raw: fmt.Appendf(nil, format, args...)}
	}
	each := pods / parts
	o.Spec = v1alpha1.JobSpec{
		Queue: j.Labels[LabelQueue], Priority: j.Labels[LabelPriority], Type: j.Labels[LabelType], Nodes: raw("%d", parts), Workers: 1,
		Resources: v1alpha1.Resources{GPUs: raw("%d", each*gpus), CPU: raw(`"%dm"`, max(1, int(cpu)*each))},
		Run:       raw(`["its own"]`), Restart: v1alpha1.Restart{On: []string{string(nexus.CauseNode), string(nexus.CausePreempt)}},
	}
	if memory > 0 {
		o.Spec.Resources.Memory = raw(`"%dMiB"`, int(memory)*each)
	}
	if d := j.Spec.ActiveDeadlineSeconds; d != nil && *d > 0 {
		o.Spec.MaxDuration = raw(`"%ds"`, *d)
	}
	if nexus.Phase(o.Status.Phase).Live() && j.Labels[LabelPreemptible] != "true" {
		// Nobody is more urgent, and it had its share of preemptions: it is left alone.
		o.Spec.Priority, o.Status.Preemptions = nexus.Critical.String(), math.MaxInt32
	}
	return o
}

// parts is into how many equal parts a gang of pods is cut, each for a node of its own: as few as there are nodes that
// could hold one.
func (v *view) parts(pods int, cpu nexus.CPU, memory nexus.MiB, gpus int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	for parts := 1; parts < pods; parts++ {
		if pods%parts != 0 {
			continue
		}
		each, fit := pods/parts, 0
		for _, n := range v.nodes {
			if each*gpus <= wholeGPUs(&n) && nexus.CPU(each)*cpu <= n.CPU && nexus.MiB(each)*memory <= n.Memory {
				fit++
			}
		}
		if fit >= parts {
			return parts
		}
	}
	return pods
}

// recut has waiting Jobs of others cut anew, for nodes came or went.
func (p *Place) recut() {
	p.foreign.mu.Lock()
	var waiting []*batchv1.Job
	for _, j := range p.foreign.jobs {
		if suspended(j) && !ended(j) {
			waiting = append(waiting, j)
		}
	}
	p.foreign.mu.Unlock()
	for _, j := range waiting {
		if o := p.standIn(j); o.Status.Phase == string(nexus.Pending) {
			p.view.replace(o)
		}
	}
}

// sizedAnew reports whether a node is new, or has more or less to give than it had.
func (v *view) sizedAnew(n *nexus.Node) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	had, ok := v.nodes[n.Name]
	return !ok || len(had.GPUs) != len(n.GPUs) || had.CPU != n.CPU || had.Memory != n.Memory
}

// replace takes in the stand-in of a waiting Job that is cut another way, though the Job itself is as it was.
func (v *view) replace(o *v1alpha1.NexusJob) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.jobs[string(o.UID)]
	if r == nil || r.object.ResourceVersion != o.ResourceVersion || string(r.object.Spec.Nodes.Raw) == string(o.Spec.Nodes.Raw) {
		return
	}
	r.object = o
	r.job, r.unable = jobOf(o, v.sharing)
	v.resolve(r)
	v.dirtyJobs[string(o.UID)] = true
	v.ring()
}

// among is a Job's own required node affinity, narrowed to these nodes. What an earlier attempt was narrowed to is dropped.
func among(own *corev1.Affinity, names []string) *corev1.NodeSelector {
	slices.Sort(names)
	var terms []corev1.NodeSelectorTerm
	if own != nil && own.NodeAffinity != nil && own.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, t := range own.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			if len(t.MatchExpressions) > 0 && !slices.ContainsFunc(terms, func(o corev1.NodeSelectorTerm) bool {
				return fmt.Sprint(o.MatchExpressions) == fmt.Sprint(t.MatchExpressions)
			}) {
				terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: t.MatchExpressions})
			}
		}
	}
	if len(terms) == 0 {
		return amongNodes(names)
	}
	s := &corev1.NodeSelector{}
	for _, t := range terms {
		for _, n := range amongNodes(names).NodeSelectorTerms {
			n.MatchExpressions = t.MatchExpressions
			s.NodeSelectorTerms = append(s.NodeSelectorTerms, n)
		}
	}
	return s
}

// stateText is a record as an annotation has it. Conditions are for NexusJobs.
func stateText(o *v1alpha1.NexusJob) (string, error) {
	status := *o.Status.DeepCopy()
	status.Conditions = nil
	if o.Labels[LabelPreemptible] != "true" {
		status.Preemptions = 0
	}
	text, err := json.Marshal(status)
	if err != nil {
		return "", fmt.Errorf("writing the record of Job %s/%s: %w", o.Namespace, o.Name, err)
	}
	return string(text), nil
}
