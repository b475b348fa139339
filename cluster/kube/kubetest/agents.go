package kubetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// Script is what every pod of a job does: it runs until a gate is open, if one is named, then ends with an exit code.
type Script struct {
	Until string
	Exit  int
	// Fails is the attempt that ends with exit code 9 as soon as it runs.
	Fails int
	// Acks says that a stop is answered by an acknowledged checkpoint.
	Acks bool
	// Elsewhere says that somebody else runs what is in the pods, and ends them by [Agents.End].
	Elsewhere bool
	// Stuck is why the container cannot be started, in the kubelet's word: "ErrImagePull". Only for jobs whose labels say
	// "kubetest: played", which kwok leaves alone.
	Stuck string
	// Root says that the image's own user is root: a container that may not be root and is given no other user is not started.
	// Only for jobs with that label too.
	Root bool
	// Lingers says that a stop is answered only when this gate is open.
	Lingers string
}

// Agents plays what runs in the pods of NexusJobs in one namespace: it writes the states of their containers, as a
// kubelet would.
type Agents struct {
	plane     *Plane
	t         testing.TB
	namespace string
	store     cache.Store
	stir      chan struct{} // cap 1

	mu      sync.Mutex
	scripts map[string]Script // by name of the NexusJob
	gates   map[string]bool
}

// labelName and labelAttempt are how a pod of ours says whose it is.
const (
	labelName    = "ainexus.io/job"
	labelAttempt = "ainexus.io/attempt"
	labelJob     = "ainexus.io/job-uid"
)

// Agents plays until t ends. Jobs without a script run for ever.
func (p *Plane) Agents(t testing.TB, namespace string) *Agents {
	t.Helper()
	a := &Agents{plane: p, t: t, namespace: namespace, stir: make(chan struct{}, 1), scripts: map[string]Script{}, gates: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	list := cache.NewFilteredListWatchFromClient(p.core, "pods", namespace, func(o *metav1.ListOptions) { o.LabelSelector = labelJob })
	store, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: list, ObjectType: &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: func(any) { a.wake() }, UpdateFunc: func(_, _ any) { a.wake() }},
	})
	a.store = store
	var playing sync.WaitGroup
	playing.Go(func() { informer.RunWithContext(ctx) })
	playing.Go(func() {
		for {
			select {
			case <-a.stir:
				a.play(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		playing.Wait()
	})
	return a
}

// Play gives a job its script.
func (a *Agents) Play(job string, s Script) {
	a.mu.Lock()
	a.scripts[job] = s
	a.mu.Unlock()
	a.wake()
}

// Open opens a gate.
func (a *Agents) Open(gate string) {
	a.mu.Lock()
	a.gates[gate] = true
	a.mu.Unlock()
	a.wake()
}

func (a *Agents) wake() {
	select {
	case a.stir <- struct{}{}:
	default:
	}
}

// play brings every pod to where its script wants it. What it sees on the way must never be two living attempts of one
// job.
func (a *Agents) play(ctx context.Context) {
	living := map[string]string{} // attempt by job
	for _, o := range a.store.List() {
		pod := o.(*corev1.Pod)
		over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if a.plane.isLost(pod.Spec.NodeName) {
			continue // nobody there writes a state, or computes
		}
		if job, attempt := pod.Labels[labelJob], pod.Labels[labelAttempt]; pod.Spec.NodeName != "" && !over {
			if other := living[job]; other != "" && other != attempt {
				a.t.Errorf("attempts %s and %s of %s live at a time", other, attempt, pod.Labels[labelName])
			}
			living[job] = attempt
		}
		a.mu.Lock()
		s, known := a.scripts[pod.Labels[labelName]]
		open, goes := s.Until == "" || a.gates[s.Until], s.Lingers == "" || a.gates[s.Lingers]
		a.mu.Unlock()
		var err error
		switch {
		case pod.DeletionTimestamp != nil && over:
			err = a.remove(ctx, pod)
		case s.Elsewhere, pod.DeletionTimestamp != nil && !goes:
		case pod.DeletionTimestamp != nil && pod.Spec.NodeName != "":
			message := ""
			if s.Acks {
				message = fmt.Sprintf(`{"attempt": %s, "cause": "preempt", "ack": {"attempt": "%s/%s", "step": 7, "path": "ckpt"}}`,
					pod.Labels[labelAttempt], pod.Labels[labelJob], pod.Labels[labelAttempt])
			}
			err = a.end(ctx, pod, 143, message)
		case !over && s.Stuck != "" && pod.Spec.NodeName != "" && len(pod.Status.ContainerStatuses) == 0:
			err = a.stick(ctx, pod, s.Stuck, "the test says so")
		case !over && s.Root && pod.Spec.NodeName != "" && len(pod.Status.ContainerStatuses) == 0:
			if pod.Spec.SecurityContext.RunAsUser != nil {
				err = a.begin(ctx, pod)
				break
			}
			err = a.stick(ctx, pod, "CreateContainerConfigError", fmt.Sprintf("container has runAsNonRoot and image will run as root (pod: \"%s_%s(%s)\", container: main)", pod.Name, pod.Namespace, pod.UID))
		case !over && s.Fails > 0 && pod.Labels[labelAttempt] == fmt.Sprint(s.Fails) && pod.Status.Phase == corev1.PodRunning:
			err = a.end(ctx, pod, 9, "")
		case !over && known && open && pod.Status.Phase == corev1.PodRunning:
			err = a.end(ctx, pod, s.Exit, "")
		}
		if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			a.t.Errorf("playing the agent of pod %s: %v", pod.Name, err)
		}
	}
}

// End writes what became of a pod's container that somebody else ran: its exit code and its last words.
func (a *Agents) End(ctx context.Context, pod string, exit int, words string) error {
	for _, o := range a.store.List() {
		if p := o.(*corev1.Pod); p.Name == pod {
			return a.end(ctx, p, exit, words)
		}
	}
	return fmt.Errorf("there is no pod %s", pod)
}

// end writes that the container of a pod has ended.
func (a *Agents) end(ctx context.Context, pod *corev1.Pod, exit int, message string) error {
	now := metav1.NewTime(time.Now())
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodSucceeded
	reason := "Completed"
	if exit != 0 {
		pod.Status.Phase, reason = corev1.PodFailed, "Error"
	}
	pod.Status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: int32(exit), Reason: reason, Message: message, StartedAt: now, FinishedAt: now,
			}}})
	}
	a.plane.kubelet.add(pod.Namespace+"/"+pod.Name, true)
	return a.put(ctx, pod)
}

// stick writes that the container of a pod cannot be started.
func (a *Agents) stick(ctx context.Context, pod *corev1.Pod, reason, message string) error {
	pod = pod.DeepCopy()
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}})
	}
	return a.put(ctx, pod)
}

// begin writes that the container of a pod runs.
func (a *Agents) begin(ctx context.Context, pod *corev1.Pod) error {
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodRunning
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now())}}})
	}
	return a.put(ctx, pod)
}

func (a *Agents) put(ctx context.Context, pod *corev1.Pod) error {
	return a.plane.core.Put().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("status").Body(pod).Do(ctx).Error()
}

// remove takes a pod away whose containers have ended, as a kubelet does.
func (a *Agents) remove(ctx context.Context, pod *corev1.Pod) error {
	now := int64(0)
	return a.plane.core.Delete().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		Body(&metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}}).Do(ctx).Error()
}

// Lose has the pods of an attempt fail without a word from their containers, as those of a node do that lost its power.
func (a *Agents) Lose(ctx context.Context, job string, attempt int) error {
	for _, o := range a.store.List() {
		pod := o.(*corev1.Pod).DeepCopy()
		if pod.Labels[labelName] != job || pod.Labels[labelAttempt] != fmt.Sprint(attempt) || pod.DeletionTimestamp != nil {
			continue
		}
		pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, "NodeLost", "the node went away"
		pod.Status.ContainerStatuses = nil
		if err := a.put(ctx, pod); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
