package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

// A job of a queue with scale_up that the planner finds no nodes for is begun all the same, on nodes that do not exist: its
// pods are what an autoscaler looks at. Quota and turn are the planner's as ever, for it says first why a job waits. What
// the pods are bound to in the end is then written into the record.

// templateNode begins the names of nodes that do not exist; no node is called so.
const templateNode = "template/"

// scaler paces such beginnings: after each the planner judges anew who has what of a queue.
type scaler struct {
	mu   sync.Mutex
	last time.Time
}

// scalePause is how long the planner has for that.
const scalePause = 2 * time.Second

// scaling reports whether an attempt waits for nodes that do not exist yet.
func scaling(j *nexus.Job) bool {
	return j.Placement != nil && slices.ContainsFunc(j.Placement.Seats, func(s nexus.Seat) bool { return strings.HasPrefix(s.Node, templateNode) })
}

// scaleUp begins a waiting job for an autoscaler to see, where that can help. It returns after how long to look again; 0:
// it is none of its business.
func (p *Place) scaleUp(ctx context.Context, s standing) (time.Duration, error) {
	code := s.hold.Code
	if !s.held || s.wrong != nil || s.job.Spec.Resources.Share() || isForeign(s.object) || s.job.HeldBy != "" || code != nexus.WaitCapacity && code != nexus.WaitUnfit && code != nexus.WaitNodes {
		return 0, nil
	}
	spec := s.job.Spec
	if !p.view.scalesUp(spec.Queue) {
		return 0, nil
	}
	like := p.templatesFor(&spec)
	if len(like) == 0 {
		return 0, nil
	}
	p.scaler.mu.Lock()
	defer p.scaler.mu.Unlock()
	if left := scalePause - p.Now().Sub(p.scaler.last); left > 0 {
		return left, nil
	}
	err := p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if r.job.Phase != nexus.Pending || r.job.Attempt != s.job.Attempt || r.job.HeldBy != "" || p.Now().Before(r.job.NotBefore) {
			return "", errMoved
		}
		st.Phase, st.Attempt, st.Seats = string(nexus.Starting), r.job.Attempt+1, seatsFor(templateSeats(&spec, like[0].Name))
		st.Started, st.GPUs = micro(p.Now()), gpusOf(&spec)
		st.Reason, st.Message = "ScaleUp", fmt.Sprintf("attempt %d waits for %d nodes like %s, which an autoscaler may add", st.Attempt, spec.Nodes.Min, like[0].Name)
		return "ScaleUp", nil
	})
	if err == nil {
		p.scaler.last = p.Now()
	}
	return scalePause, unmoved(err)
}

func templateSeats(s *nexus.Spec, like string) []nexus.Seat {
	var seats []nexus.Seat
	for i := range s.Nodes.Min {
		seat := nexus.Seat{Node: templateNode + strconv.Itoa(i), Workers: s.Workers, CPU: s.Resources.CPU, Memory: s.Resources.Memory, Because: "a node like " + like}
		for g := range s.Resources.GPUs.N {
			seat.GPUs = append(seat.GPUs, nexus.SeatGPU{Index: g})
		}
		seats = append(seats, seat)
	}
	return seats
}

// scalesUp reports whether the jobs of a queue may wait for an autoscaler.
func (v *view) scalesUp(queue string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.queues[queue].ScaleUp
}

// templatesFor are the nodes that a job could run on were there enough of them: those that the options tell of, and
// those there are.
func (p *Place) templatesFor(s *nexus.Spec) []nexus.Node {
	var fit []nexus.Node
	for _, t := range append(slices.Clone(p.opts.Templates), p.view.shapes()...) {
		several := make([]nexus.Node, s.Nodes.Min)
		for i := range several {
			several[i] = t
			several[i].Name, several[i].State, several[i].Rack, several[i].Block = templateNode+strconv.Itoa(i), nexus.Ready, "", ""
		}
		if sched.Check(several, *s) == nil {
			fit = append(fit, t)
		}
	}
	return fit
}

// shapes are the nodes that there are, one of each kind, as if nobody were on them.
func (v *view) shapes() []nexus.Node {
	v.mu.Lock()
	defer v.mu.Unlock()
	type shape struct {
		cpu    nexus.CPU
		memory nexus.MiB
		gpus   int
		gpu    nexus.GPU
	}
	first := map[shape]nexus.Node{}
	for _, n := range v.nodes {
		s := shape{cpu: n.CPU, memory: n.Memory, gpus: len(n.GPUs)}
		if s.gpus > 0 {
			s.gpu = nexus.GPU{Model: n.GPUs[0].Model, Memory: n.GPUs[0].Memory}
		}
		if had, ok := first[s]; !ok || n.Name < had.Name {
			first[s] = n
		}
	}
	var list []nexus.Node
	for _, n := range first {
		list = append(list, n)
	}
	slices.SortFunc(list, byName)
	return list
}

// attemptOf is the Job of an attempt. One that waits for an autoscaler goes wherever there are such GPUs.
func (p *Place) attemptOf(s standing) *batchv1.Job {
	j := attemptFor(s.object, s.job, p.opts)
	if p.view.onCards(&s.job) {
		askForMemory(j, s.job.Placement.Seats[0].Share)
	}
	if scaling(&s.job) {
		j.Spec.Template.Spec.Affinity.NodeAffinity = p.anywhere(&s.job.Spec)
	}
	return j
}

// anywhere are all nodes that jobs may have, with the GPUs that a job asks for by name or memory.
func (p *Place) anywhere(s *nexus.Spec) *corev1.NodeAffinity {
	var wants []corev1.NodeSelectorRequirement
	if selector, err := labels.Parse(p.opts.Nodes); err == nil {
		all, _ := selector.Requirements()
		for _, r := range all {
			want := corev1.NodeSelectorRequirement{Key: r.Key(), Operator: corev1.NodeSelectorOpIn, Values: r.ValuesUnsorted()}
			switch r.Operator() {
			case selection.Exists:
				want.Operator = corev1.NodeSelectorOpExists
			case selection.DoesNotExist:
				want.Operator = corev1.NodeSelectorOpDoesNotExist
			case selection.NotIn, selection.NotEquals:
				want.Operator = corev1.NodeSelectorOpNotIn
			}
			slices.Sort(want.Values)
			wants = append(wants, want)
		}
	}
	if r := s.Resources; r.GPUs.N > 0 && (len(r.GPUModel) > 0 || r.GPUMemory > 0) {
		want := corev1.NodeSelectorRequirement{Key: labelGPUProduct, Operator: corev1.NodeSelectorOpIn}
		for _, t := range p.templatesFor(s) {
			if product := t.Labels[labelGPUProduct]; !slices.Contains(want.Values, product) {
				want.Values = append(want.Values, product)
			}
		}
		slices.Sort(want.Values)
		wants = append(wants, want)
	}
	if len(wants) == 0 {
		return nil
	}
	return &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: wants}}}}
}

// roomPatience is how long a pod of an attempt may find no node.
func (p *Place) roomPatience(j *nexus.Job) time.Duration {
	if scaling(j) {
		return p.opts.ScaleUpTimeout
	}
	return p.opts.Unschedulable
}

// settle writes down where the pods of an attempt that waited for nodes are, when all have one.
func (p *Place) settle(ctx context.Context, s standing) (done bool, err error) {
	if !scaling(&s.job) || len(s.pods) != len(s.job.Placement.Seats) {
		return false, nil
	}
	at := make([]string, len(s.pods))
	prefix := attemptName(s.object.Name, s.job.Attempt) + "-"
	for _, pod := range s.pods {
		number, _, _ := strings.Cut(strings.TrimPrefix(pod.name, prefix), "-")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= len(at) || pod.node == "" {
			return false, nil
		}
		at[i] = pod.node
	}
	if slices.Contains(at, "") {
		return false, nil
	}
	return true, p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !s.still(&r, nexus.Starting) {
			return "", errMoved
		}
		for i := range st.Seats {
			st.Seats[i].Node, st.Seats[i].GPUs = at[i], p.view.places(at[i], s.job.Spec.Resources.MIG, len(st.Seats[i].GPUs))
		}
		st.Reason, st.Message = "Admitted", fmt.Sprintf("attempt %d on %s, as the kube-scheduler chose", r.job.Attempt, nodesOf(seatsOf(st.Seats)))
		return "Admitted", nil
	})
}

// places are GPUs of a node, in its account, that no job of ours has.
func (v *view) places(node, mig string, n int) []int {
	v.mu.Lock()
	defer v.mu.Unlock()
	taken := v.ours(node)
	// Where others were promised them meanwhile these are counted twice: the kube-scheduler has decided, and they go back.
	var free, promised []int
	for i, g := range v.nodes[node].GPUs {
		switch {
		case g.MIG != mig:
		case taken[i]:
			promised = append(promised, i)
		default:
			free = append(free, i)
		}
	}
	list := append(free, promised...)
	return list[:min(n, len(list))]
}

// seatedAt reports whether a job has a seat on a node.
func seatedAt(j *nexus.Job, node string) bool {
	return j.Placement != nil && slices.ContainsFunc(j.Placement.Seats, func(s nexus.Seat) bool { return s.Node == node })
}

// ParseTemplate reads a node that an autoscaler may add: "gpus=8,gpu_model=NVIDIA-H100-80GB-HBM3,gpu_memory=80GiB,cpu=64,memory=512GiB".
func ParseTemplate(text string) (nexus.Node, error) {
	n := nexus.Node{Name: text, State: nexus.Ready, Labels: map[string]string{}}
	gpus, gpu := 0, nexus.GPU{Free: -1}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		var err error
		switch key {
		case "gpus":
			gpus, err = strconv.Atoi(value)
			if err == nil && (gpus < 0 || gpus > maxGPUs) {
				err = fmt.Errorf("%d is no number of GPUs", gpus)
			}
		case "gpu_model":
			gpu.Model, n.Labels[labelGPUProduct] = strings.ReplaceAll(value, "-", " "), value
		case "gpu_memory":
			err = gpu.Memory.UnmarshalText([]byte(value))
		case "cpu":
			err = n.CPU.UnmarshalText([]byte(value))
		case "memory":
			err = n.Memory.UnmarshalText([]byte(value))
		default:
			ok = false
		}
		if !ok || err != nil {
			return n, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("a node template says %q: %v", part, err),
				Hint: "gpus=8,gpu_model=NVIDIA-H100-80GB-HBM3,gpu_memory=80GiB,cpu=64,memory=512GiB"}
		}
	}
	for i := range gpus {
		gpu.Index = i
		n.GPUs = append(n.GPUs, gpu)
	}
	return n, nil
}
