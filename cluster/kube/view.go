package kube

import (
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// view is what was told of the cluster, and what of it the planner has not heard of yet.
type view struct {
	mu       sync.Mutex
	jobs     map[string]*record              // by uid
	batch    map[string]map[int]*batchv1.Job // of ours, by uid of the NexusJob and number of the attempt
	pods     map[string]*pod                 // by namespace/name
	hosted   map[string]map[string]*pod      // by node, of pods that are not over
	seated   map[string]map[string]*record   // by node, of jobs with a living attempt, by uid
	members  map[attempt]map[string]*pod
	names    map[string]string            // uid of a job, by namespace/name
	awaited  map[string]map[string]bool   // uids of jobs that wait for it, by namespace/name
	left     map[string]map[int][]*ending // of pods that are gone, by job and attempt
	nodes    map[string]nexus.Node        // as if empty
	queues   map[string]nexus.Queue
	families map[string]map[string]*record // members of arrays, by namespace/name and uid
	// defaults are of jobs that are not admitted yet.
	defaults Defaults
	images   images                // those whose own user cannot be
	shown    map[string]nexus.Node // as last told

	pools    map[string]*slicesPool // of devices that are given in parts
	claims   map[string][]share     // by namespace/name
	cards    map[string]bool        // nodes whose cards' memory is counted
	sharing  bool                   // there are such devices
	rejudged []string               // jobs that were judged anew when there came to be such

	lessons lessons
	pruned  bool // the server's NexusJob knows no line: its definition is older than we are

	version    uint64
	told       bool
	dirtyJobs  map[string]bool
	dirtyNodes map[string]bool
	planted    bool          // the queues are to be told
	bell       chan struct{} // cap 1: there is something to be told
}

// attempt names one try of a job.
type attempt struct {
	job    string
	number int
}

// record is a job as last told or written.
type record struct {
	object *v1alpha1.NexusJob // read only
	job    nexus.Job
	unread error // what of its spec cannot be read
	wrong  error // why the planner does not hear of it
	unable error // that, as far as its own spec tells
	hold   nexus.Reason
	line   *v1alpha1.Line  // where it stands, as last foreseen; nil: nobody has looked
	start  *nexus.Estimate // as made when it began to wait for its turn; nil: none was
	held   bool            // hold was told by the planner
	// stale says that the numbers of hold are not those that were written, asked that they are to be written now.
	stale, asked bool
	written      time.Time // when they were
	placed       int       // the attempt that we are recording, or have recorded, and done nothing about
	opened       bool      // the way between its pods was made by us, or cannot be
	made         int       // the attempt whose Job we have created or seen: if there is none, it was deleted
}

func newView() *view {
	return &view{
		jobs: map[string]*record{}, batch: map[string]map[int]*batchv1.Job{}, pods: map[string]*pod{}, hosted: map[string]map[string]*pod{},
		names: map[string]string{}, families: map[string]map[string]*record{}, awaited: map[string]map[string]bool{},
		seated: map[string]map[string]*record{}, members: map[attempt]map[string]*pod{}, left: map[string]map[int][]*ending{}, nodes: map[string]nexus.Node{},
		queues: map[string]nexus.Queue{nexus.DefaultQueue: {Name: nexus.DefaultQueue}}, shown: map[string]nexus.Node{},
		dirtyJobs: map[string]bool{}, dirtyNodes: map[string]bool{}, bell: make(chan struct{}, 1),
		pools: map[string]*slicesPool{}, claims: map[string][]share{}, cards: map[string]bool{},
	}
}

// setJob takes in a job as it was told or written, unless something newer is known.
func (v *view) setJob(o *v1alpha1.NexusJob) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o = v.withDefaults(o)
	id := string(o.UID)
	r := v.jobs[id]
	switch {
	case r == nil:
		r = &record{}
		for number := range v.batch[id] {
			r.made = max(r.made, number)
		}
		v.jobs[id] = r
	case !newer(&o.ObjectMeta, &r.object.ObjectMeta):
		if o.ResourceVersion == r.object.ResourceVersion && !isForeign(o) {
			r.object = o // what we wrote has come back: the copy that the watch keeps will do for both
		}
		return
	}
	v.seat(id, r, false)
	if r.object != nil {
		v.enlist(id, r, false)
		v.gather(id, r, false)
	}
	before := r.job.Phase
	first := r.object == nil
	if first || isForeign(o) || o.Generation != r.object.Generation || !reflect.DeepEqual(o.Status.Defaults, r.object.Status.Defaults) {
		r.job.Spec, r.unread = specOf(o)
	}
	r.object = o
	r.job, r.unable = jobAs(o, r.job.Spec, r.unread, v.sharing)
	if o.Status.User > 0 {
		v.images.note(&r.job.Spec)
	}
	if v.told && !first && !before.Over() && r.job.Phase.Over() {
		v.lessons.over(r)
	}
	if r.start != nil && r.job.Phase == nexus.Starting {
		is, start := titled(o, r.job), *r.start
		v.lessons.learn(func(l *policy.Learner) { l.Started(&is, start) })
	}
	v.enlist(id, r, true)
	v.gather(id, r, true)
	v.resolve(r)
	if !isForeign(o) && (first || before != r.job.Phase) {
		v.names[key(o.Namespace, o.Name)] = id
		v.stir(o.Namespace, o.Name)
	}
	if isArray(&r.job) {
		v.lead(o)
	}
	if r.job.Phase != nexus.Pending {
		r.hold, r.held, r.line, r.start = nexus.Reason{}, false, nil, nil
	}
	v.dirtyJobs[id] = true
	v.seat(id, r, true)
	if r.job.Phase.Over() || r.job.Phase == nexus.Pending {
		delete(v.left, id)
	}
	v.ring()
}

// dropJob forgets a job that was deleted. What still lives of it counts as a stranger's until it is gone.
func (v *view) dropJob(o metav1.Object) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := string(o.GetUID())
	r := v.jobs[id]
	if r == nil {
		return
	}
	delete(v.jobs, id)
	delete(v.left, id)
	v.dirtyJobs[id] = true
	v.seat(id, r, false)
	v.enlist(id, r, false)
	v.gather(id, r, false)
	if k := key(r.object.Namespace, r.object.Name); v.names[k] == id { // else there is another of that name by now
		delete(v.names, k)
		v.stir(r.object.Namespace, r.object.Name)
	}
	v.ring()
}

// seat notes who is where, or takes the note back.
func (v *view) seat(id string, r *record, there bool) {
	if r.job.Placement == nil {
		return
	}
	for _, s := range r.job.Placement.Seats {
		v.dirtyNodes[s.Node] = true
		if v.seated[s.Node] == nil {
			v.seated[s.Node] = map[string]*record{}
		}
		if there {
			v.seated[s.Node][id] = r
		} else {
			delete(v.seated[s.Node], id)
		}
	}
}

func (v *view) setBatch(o *batchv1.Job) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id, number := batchKey(o)
	if v.batch[id] == nil {
		v.batch[id] = map[int]*batchv1.Job{}
	}
	v.batch[id][number] = o
	if r := v.jobs[id]; r != nil {
		r.made = max(r.made, number)
	}
}

func (v *view) dropBatch(o metav1.Object) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id, number := batchKey(o)
	if there := v.batch[id][number]; there == nil || there.UID != o.GetUID() {
		return
	}
	delete(v.batch[id], number)
	if len(v.batch[id]) == 0 {
		delete(v.batch, id)
	}
}

func batchKey(o metav1.Object) (id string, number int) {
	number, _ = strconv.Atoi(o.GetLabels()[LabelAttempt])
	return o.GetLabels()[LabelJob], number
}

// setPod takes in a pod; nil says that it is gone.
func (v *view) setPod(namespace, name string, p *pod) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := namespace + "/" + name
	if before := v.pods[key]; before != nil {
		delete(v.pods, key)
		v.moved(before)
		delete(v.hosted[before.node], key)
		if a := (attempt{before.job, before.attempt}); before.job != "" {
			delete(v.members[a], key)
			if len(v.members[a]) == 0 {
				delete(v.members, a)
			}
			if r := v.jobs[a.job]; p == nil && before.end != nil && r != nil && !r.job.Phase.Over() {
				if v.left[a.job] == nil {
					v.left[a.job] = map[int][]*ending{}
				}
				v.left[a.job][a.number] = append(v.left[a.job][a.number], before.end)
			}
		}
	}
	if p == nil {
		return
	}
	v.pods[key] = p
	v.moved(p)
	if p.node != "" && !p.over {
		if v.hosted[p.node] == nil {
			v.hosted[p.node] = map[string]*pod{}
		}
		v.hosted[p.node][key] = p
	}
	if p.job != "" {
		a := attempt{p.job, p.attempt}
		if v.members[a] == nil {
			v.members[a] = map[string]*pod{}
		}
		v.members[a][key] = p
	}
}

// moved says that the planner may have to hear of a pod's node.
func (v *view) moved(p *pod) {
	if p.node != "" {
		v.dirtyNodes[p.node] = true
		v.ring()
	}
}

// setNode takes in a node, nil if it is gone, and gives the state that it was in before.
func (v *view) setNode(name string, n *nexus.Node) (before nexus.NodeState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before = v.nodes[name].State
	if n == nil {
		delete(v.nodes, name)
	} else {
		v.nodes[name] = *n
	}
	v.setCards(name, n)
	v.dirtyNodes[name] = true
	v.ring()
	return before
}

func (v *view) setQueue(name string, q *nexus.Queue) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case q != nil:
		v.queues[name] = *q
	case name == nexus.DefaultQueue:
		v.queues[name] = nexus.Queue{Name: name}
	default:
		delete(v.queues, name)
	}
	v.planted = true
	v.ring()
}

// answer has these jobs told again, as they now stand.
func (v *view) answer(ids ...string) {
	if len(ids) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		v.dirtyJobs[id] = true
	}
	v.ring()
}

// hold remembers why jobs wait, as of a time, and gives those that have to be told otherwise than before.
func (v *view) hold(holds []nexus.Hold, at time.Time) (changed []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, h := range holds {
		r := v.jobs[h.Job]
		if r == nil || r.job.Phase != nexus.Pending {
			continue
		}
		if !r.held || r.hold.Code != h.Reason.Code || r.hold.Resource != h.Reason.Resource {
			changed = append(changed, h.Job)
		}
		r.stale = r.stale || r.hold != h.Reason
		r.hold, r.held = h.Reason, true
		r.foresee(h, at)
	}
	return changed
}

// named puts names that people know in the place of ids.
func (v *view) named(r nexus.Reason) nexus.Reason {
	v.mu.Lock()
	defer v.mu.Unlock()
	if other := v.jobs[r.Job]; other != nil {
		r.Job = other.object.Namespace + "/" + other.object.Name
	}
	return r
}

func (v *view) ring() {
	select {
	case v.bell <- struct{}{}:
	default:
	}
}

// attemptName is the name of the Job of an attempt.
func attemptName(job string, number int) string { return fmt.Sprintf("%s-%d", job, number) }

// newer compares resource versions, which Kubernetes has ordered since 1.35 and etcd always had.
func newer(a, b *metav1.ObjectMeta) bool {
	x, err1 := strconv.ParseUint(a.ResourceVersion, 10, 64)
	y, err2 := strconv.ParseUint(b.ResourceVersion, 10, 64)
	return err1 != nil || err2 != nil || x > y
}
