package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// Labels and annotations of ours.
const (
	// LabelJob is the uid of the NexusJob that a Job or pod belongs to; LabelAttempt is the number of the attempt.
	LabelJob     = v1alpha1.Group + "/job-uid"
	LabelAttempt = v1alpha1.Group + "/attempt"
	// LabelName is the NexusJob's name, for people.
	LabelName = v1alpha1.Group + "/job"
	// AnnotationStop on a NexusJob asks for its end: "cancel".
	AnnotationStop = v1alpha1.Group + "/stop"
	// AnnotationHold on a NexusJob keeps it from starting: the name of who holds it.
	AnnotationHold = v1alpha1.Group + "/hold"
)

// Options are the settings of a [Place].
type Options struct {
	// Kubeconfig is the path of the file that says how to reach the API server. Default: as a pod does.
	Kubeconfig string
	// Namespace is the only one whose jobs run. Default: all.
	Namespace string
	// Nodes is a selector of labels: the nodes that jobs may have. Default: all.
	Nodes string
	// Image is what pods run whose job names none. No default: such a job waits with a reason.
	Image string
	// LauncherImage holds the static program that the pods' init container copies in. Default: pods run their command
	// as it is, without the launcher.
	LauncherImage string
	// Unschedulable is how long a pod may find no node before its attempt goes back in line. Default: 5 s.
	Unschedulable time.Duration
	// Lost is how long the node of a pod may be unreachable before the pod is given up and its job goes elsewhere. Default: 1 min.
	Lost time.Duration
	// Stuck is how long containers of a job may be impossible to start, for want of their image perhaps, before the job
	// fails. Default: 10 min.
	Stuck time.Duration
	// Templates are nodes that an autoscaler may add, for queues with scale_up; see [ParseTemplate]. Nodes like those there
	// are count too. Default: only those.
	Templates []nexus.Node
	// Defaults are what jobs get that they leave out. Default: what the job file says.
	Defaults Defaults
	// Policed are the namespaces in which network policies keep pods from one another, so that those of a job on several nodes
	// need one of their own. Default: none.
	Policed []string
	// ScaleUpTimeout is how long a pod of a queue with scale_up may find no node. Default: 10 min.
	ScaleUpTimeout time.Duration
	// Backoff is the first pause after an attempt that was lost or found no room, doubled each time in a row up to
	// 5 min. Default: 1 s.
	Backoff time.Duration
	// Alone says that no other controller runs, so no Lease is taken.
	Alone bool
	// LeaseDuration is how long others wait for a controller that is gone without a word. Default: 15 s.
	LeaseDuration time.Duration
	// Workers bounds how many writes are under way at a time. Default: 16.
	Workers int
	// Tally counts. Default: nobody does.
	Tally Tally
	// Log gets what an operator would act on. Default: nothing.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Unschedulable = cmp.Or(o.Unschedulable, 5*time.Second)
	o.Lost = cmp.Or(o.Lost, time.Minute)
	o.Stuck = cmp.Or(o.Stuck, 10*time.Minute)
	o.ScaleUpTimeout = cmp.Or(o.ScaleUpTimeout, 10*time.Minute)
	o.Backoff = cmp.Or(o.Backoff, time.Second)
	o.LeaseDuration = cmp.Or(o.LeaseDuration, 15*time.Second)
	o.Workers = cmp.Or(o.Workers, 16)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// jobOf reads a job, where GPUs can be shared or not. Where its spec cannot be had here, the error is a [nexus.Error] or
// [nexus.Errors].
func jobOf(o *v1alpha1.NexusJob, sharing bool) (nexus.Job, error) {
	spec, err := specOf(o)
	return jobAs(o, spec, err, sharing)
}

// specOf reads what a job asks for. That costs far more than the rest of a job, and changes only with its generation and
// with what the cluster's defaults gave it.
func specOf(o *v1alpha1.NexusJob) (nexus.Spec, error) {
	document, err := completed(o).Document()
	if err != nil {
		return nexus.Spec{}, err
	}
	spec, _, err := jobfile.Parse(document, jobfile.Options{Name: "the spec"})
	if err != nil {
		spec.Name = o.Name
		return spec, err
	}
	if spec.Resources.CPU == 0 {
		spec.Resources.CPU = nexus.CPU(max(1, spec.Workers) * 1000)
	}
	return spec, nil
}

// jobAs is [jobOf] for who knows what [specOf] says.
func jobAs(o *v1alpha1.NexusJob, spec nexus.Spec, unread error, sharing bool) (nexus.Job, error) {
	s := &o.Status
	j := nexus.Job{
		ID: string(o.UID), Spec: spec, User: o.Namespace, Submitted: o.CreationTimestamp.UTC(), Phase: nexus.Phase(cmp.Or(s.Phase, string(nexus.Pending))),
		Attempt: s.Attempt, RestartsUsed: s.RestartsUsed, Preemptions: s.Preemptions, Started: s.Started.Time,
		Served: nexus.Duration(s.Served.Duration), Finished: s.Finished.Time, NotBefore: s.NotBefore.Time,
		HeldBy: o.Annotations[AnnotationHold], Stop: nexus.StopKind(s.Stop), StopFor: s.StopFor, CheckpointAt: s.CheckpointAt.Time,
	}
	if r := s.Result; r != nil {
		j.Result = &nexus.Result{Attempt: r.Attempt, OK: r.OK, Cause: nexus.Cause(r.Cause), Rank: -1, Exit: r.Exit,
			Message: r.Message, Ended: r.Ended.Time, LostSeconds: -1}
	}
	if j.Phase.Live() {
		j.Placement = &nexus.Placement{Job: j.ID, Attempt: s.Attempt, Seats: seatsOf(s.Seats)}
	}
	if unread != nil {
		return j, unread
	}
	if j.Member = memberOf(o); j.Member != nil {
		j.Submitted = j.Submitted.Add(time.Duration(j.Member.Index)) // in line they stand by index
	}
	if isArray(&j) {
		if err := unableArray(o, &j.Spec); err != nil {
			return j, err
		}
	}
	if j.Spec.Code != "" && o.Annotations[AnnotationCode] == "" {
		return j, &nexus.Error{Code: nexus.CodeInvalid, Field: "code", Message: "there is no code: nexus submit packs and uploads it, kubectl does not",
			Hint: "submit the job file by nexus submit, or put the code into the image or on a volume"}
	}
	return j, unable(&j.Spec, sharing || j.Phase.Live()) // what lives has its share
}

// unable refuses what this place does not run.
func unable(s *nexus.Spec, sharing bool) error {
	switch {
	case s.Resources.Share() && !sharing:
		return &nexus.Error{Code: nexus.CodeUnfit, Field: "resources.gpu_memory", Message: "this cluster cannot share GPUs",
			Hint: "ask for a whole one: resources: {gpus: 1}"}
	case s.Resources.GPUs.Auto:
		return &nexus.Error{Code: nexus.CodeUnfit, Field: "resources.gpus", Message: "gpus: auto takes what this machine has free, which a cluster is not", Hint: "say how many"}
	}
	for name, v := range s.Env {
		if v.From != "" && !isSecret(v.From) {
			return &nexus.Error{Code: nexus.CodeInvalid, Field: "env." + name, Message: "pods cannot read " + v.From, Hint: "from: secret:NAME/KEY"}
		}
	}
	return nil
}

// gpusOf is how many GPUs a job asks for, on all nodes together.
func gpusOf(s *nexus.Spec) int { return s.Nodes.Min * s.Resources.GPUs.N }

func seatsOf(list []v1alpha1.Seat) []nexus.Seat {
	var seats []nexus.Seat
	for _, s := range list {
		seat := nexus.Seat{Node: s.Node, Workers: s.Workers, CPU: nexus.CPU(s.CPU), Memory: nexus.MiB(s.Memory), Share: nexus.MiB(s.Share), Because: s.Because}
		for _, i := range s.GPUs {
			seat.GPUs = append(seat.GPUs, nexus.SeatGPU{Index: i})
		}
		seats = append(seats, seat)
	}
	return seats
}

func seatsFor(seats []nexus.Seat) []v1alpha1.Seat {
	var list []v1alpha1.Seat
	for _, s := range seats {
		seat := v1alpha1.Seat{Node: s.Node, Workers: s.Workers, CPU: int64(s.CPU), Memory: int64(s.Memory), Share: int64(s.Share), Because: s.Because}
		for _, g := range s.GPUs {
			seat.GPUs = append(seat.GPUs, g.Index)
		}
		list = append(list, seat)
	}
	return list
}

// reservationFor is a reservation as the status keeps it; nil where nothing is kept.
func reservationFor(r nexus.Reservation) *v1alpha1.Reservation {
	if len(r.Seats) == 0 {
		return nil
	}
	return &v1alpha1.Reservation{Since: micro(r.Since), Seats: seatsFor(r.Seats), Resize: r.Resize}
}

// queueOf reads a queue.
func queueOf(o *v1alpha1.NexusQueue) (nexus.Queue, error) {
	document, err := o.Document()
	if err != nil {
		return nexus.Queue{}, err
	}
	queues, _, err := jobfile.ParseQueues(document, "queue "+o.Name)
	if err != nil {
		return nexus.Queue{}, err
	}
	return queues[0], nil
}

// pod is what we keep of a pod.
type pod struct {
	namespace, name string
	job             string // uid of the NexusJob; empty: none of ours
	attempt         int
	node            string // empty: not bound
	over            bool   // it has ended, or will never begin
	deleting        bool
	killBy          time.Time // of one that is deleted: when its node kills what is left of it
	running         bool
	unschedulable   string    // what the kube-scheduler says
	made, since     time.Time // it, and unschedulable
	cpu             nexus.CPU
	memory          nexus.MiB
	gpus            int
	slices          map[string]int // MIG slices by profile; nil: none
	cards           nexus.MiB      // what it takes of the memory of cards, where that is counted
	wholeCards      int            // cards that it takes whole there
	end             *ending        // of its main container; nil: none
	lost            string         // it ended through no fault of its own, or is about to: why
	stuck           string         // in a word, what keeps a container of it from starting; empty: nothing that does not pass by itself
	stuckWhy        string         // the same in a sentence
	notRoot         bool           // that is that its image's user is root, or not certainly another
}

// ending is how the container of a rank's agent ended.
type ending struct {
	index   int
	exit    int
	oom     bool
	message string
	at      time.Time
	deleted bool // somebody had deleted the pod before: whatever the container made of it says nothing about the job
}

// ResourceGPU is the name under which NVIDIA's device plugin counts GPUs.
const ResourceGPU corev1.ResourceName = "nvidia.com/gpu"

// containerMain is the name of the container that a job's command runs in.
const containerMain = "main"

// podOf reads what we keep.
func podOf(o *corev1.Pod) *pod {
	p := &pod{
		namespace: o.Namespace, name: o.Name, job: o.Labels[LabelJob], made: o.CreationTimestamp.Time, node: o.Spec.NodeName, deleting: o.DeletionTimestamp != nil,
		over:    o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed,
		running: o.Status.Phase == corev1.PodRunning,
	}
	if p.deleting {
		p.killBy = o.DeletionTimestamp.Time
	}
	p.attempt, _ = strconv.Atoi(o.Labels[LabelAttempt])
	p.cpu, p.memory, p.gpus = demand(&o.Spec)
	p.slices = sliceDemand(&o.Spec)
	p.cards, p.wholeCards = cardMemory(&o.Spec)
	if p.job == "" {
		return p
	}
	for _, c := range o.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable:
			p.unschedulable, p.since = c.Message, c.LastTransitionTime.Time
		case c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue:
			p.lost = cmp.Or(c.Message, c.Reason, "its pod was taken away")
		}
	}
	p.stuck, p.stuckWhy = stuck(o)
	p.notRoot = refusedAsRoot(o)
	for _, c := range o.Status.ContainerStatuses {
		if t := c.State.Terminated; c.Name == containerMain && t != nil {
			index, _ := strconv.Atoi(o.Annotations[batchv1.JobCompletionIndexAnnotation])
			p.end = &ending{index: index, exit: int(t.ExitCode), oom: t.Reason == "OOMKilled", message: t.Message, at: t.FinishedAt.Time, deleted: deletedBefore(o, t.FinishedAt.Time)}
			if t.Signal > 0 {
				p.end.exit = 128 + int(t.Signal)
			}
		}
	}
	if o.Status.Phase == corev1.PodFailed && p.end == nil && p.lost == "" {
		p.lost = cmp.Or(o.Status.Message, o.Status.Reason, "its pod failed without a word")
	}
	return p
}

// Words for what keeps containers from starting.
const (
	reasonImage     = "ImagePull"
	reasonContainer = "ContainerCreation"
)

// stuck says what keeps the first container that does not start from it, where that is not just a matter of time. The words
// of the kubelet alternate (ErrImagePull, ImagePullBackOff); ours do not.
func stuck(o *corev1.Pod) (word, why string) {
	for _, c := range slices.Concat(o.Status.InitContainerStatuses, o.Status.ContainerStatuses) {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			word = reasonImage
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
			word = reasonContainer
		default:
			continue
		}
		return word, strings.TrimSuffix(fmt.Sprintf("container %s of pod %s on node %s: %s: %s", c.Name, o.Name, o.Spec.NodeName, w.Reason, w.Message), ": ")
	}
	return "", ""
}

// deletedBefore reports whether a pod was deleted before its container ended. The timestamp is when it will be gone.
func deletedBefore(o *corev1.Pod, end time.Time) bool {
	if o.DeletionTimestamp == nil {
		return false
	}
	var grace time.Duration
	if s := o.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	return !end.Before(o.DeletionTimestamp.Add(-grace))
}

// demand is what a pod takes of its node: the larger of its containers together and its largest init container, beside
// which sidecars run.
func demand(s *corev1.PodSpec) (cpu nexus.CPU, memory nexus.MiB, gpus int) {
	type sum struct{ cpu, memory, gpus int64 }
	of := func(c *corev1.Container) sum {
		get := func(name corev1.ResourceName) *corev1.ResourceList {
			if _, ok := c.Resources.Requests[name]; ok {
				return &c.Resources.Requests
			}
			return &c.Resources.Limits
		}
		gpu := (*get(ResourceGPU))[ResourceGPU]
		return sum{get(corev1.ResourceCPU).Cpu().MilliValue(), get(corev1.ResourceMemory).Memory().Value(), gpu.Value()}
	}
	add := func(a, b sum) sum { return sum{a.cpu + b.cpu, a.memory + b.memory, a.gpus + b.gpus} }
	most := func(a, b sum) sum { return sum{max(a.cpu, b.cpu), max(a.memory, b.memory), max(a.gpus, b.gpus)} }
	var sidecars, peak, all sum
	for i := range s.InitContainers {
		c := &s.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars = add(sidecars, of(c))
			peak = most(peak, sidecars)
			continue
		}
		peak = most(peak, add(sidecars, of(c)))
	}
	all = sidecars
	for i := range s.Containers {
		all = add(all, of(&s.Containers[i]))
	}
	all = most(all, peak)
	all.cpu += s.Overhead.Cpu().MilliValue()
	all.memory += s.Overhead.Memory().Value()
	return nexus.CPU(all.cpu), nexus.MiB((all.memory + 1<<20 - 1) >> 20), int(all.gpus)
}

// said is what an agent left in its termination message; nil where it left nothing that can be read.
func (e *ending) said() *nexus.Result {
	var r nexus.Result
	if e == nil || len(e.message) == 0 || e.message[0] != '{' || json.Unmarshal([]byte(e.message), &r) != nil || r.Attempt == 0 {
		return nil
	}
	return &r
}

// firstEnding is the ending to blame, of those that are a failure of the job's own: the earliest, then the lowest index.
func firstEnding(list []*ending) *ending {
	bad := slices.DeleteFunc(slices.Clone(list), func(e *ending) bool { return e.exit == 0 || e.deleted })
	if len(bad) == 0 {
		return nil
	}
	return slices.MinFunc(bad, func(a, b *ending) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.index, b.index)) })
}

// micro is a time as the status keeps it.
func micro(t time.Time) metav1.MicroTime {
	if t.IsZero() {
		return metav1.MicroTime{}
	}
	return metav1.NewMicroTime(t.UTC().Truncate(time.Microsecond))
}
