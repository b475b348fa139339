package kube

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"ainexus.io/api"
	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// labelIndex is where a pod of an Indexed Job says which one it is.
const labelIndex = batchv1.JobCompletionIndexAnnotation // the label is called the same

// logRest is how often a follower looks for pods that began.
const logRest = 500 * time.Millisecond

// Logs copies what the pods of an attempt print, through the API server, whole lines, each prefixed with its rank. It
// follows until the job is over, or, where the query names an attempt, until that is.
func (c *Client) Logs(ctx context.Context, ref string, q api.LogQuery, w io.Writer) error {
	ctx = silent(ctx)
	o, err := c.one(ctx, ref)
	if err != nil {
		return err
	}
	switch {
	case q.Attempt > o.Status.Attempt:
		return &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("job %s has had %d attempts", o.Name, o.Status.Attempt), Hint: "leave the attempt out for the last one"}
	case q.Round > 0:
		return &nexus.Error{Code: nexus.CodeNotFound, Message: "on a cluster a restart is another attempt: there are no rounds beyond 0", Hint: "name the attempt: --attempt N"}
	case q.Setup:
		return nil // it is in the output of the pods, before that of the workers
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &reader{client: c, query: q, out: w, begun: map[string]bool{}, ended: make(chan error)}
	defer r.pods.Wait()
	defer cancel()
	for {
		n := cmp.Or(q.Attempt, o.Status.Attempt)
		phase := nexus.Phase(o.Status.Phase)
		last := !q.Follow || phase.Over() || q.Attempt > 0 && (o.Status.Attempt > n || !phase.Live())
		if n > 0 {
			if err := r.begin(ctx, o, n, last); err != nil {
				return err
			}
		}
		if last && r.running == 0 {
			return nil
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
		if o, err = c.find(ctx, o.Name); err != nil {
			return err
		}
	}
}

// reader copies the output of pods, each by a goroutine of its own.
type reader struct {
	client  *Client
	query   api.LogQuery
	out     io.Writer
	begun   map[string]bool // by uid of the pod
	running int
	calm    bool       // all pods have begun, so that nothing is to be looked for until one ends
	ended   chan error // of those that run
	pods    sync.WaitGroup
	mu      sync.Mutex // of out
}

// begin starts to read the pods of an attempt that have something to say.
func (r *reader) begin(ctx context.Context, o *v1alpha1.NexusJob, attempt int, last bool) error {
	var list corev1.PodList
	selector := fmt.Sprintf("%s=%s,%s=%d", LabelJob, o.UID, LabelAttempt, attempt)
	c := r.client
	if err := c.clients.core.Get().Namespace(o.Namespace).Resource(resourcePods).Param("labelSelector", selector).Timeout(requestPatience).Do(ctx).Into(&list); err != nil {
		return c.problem(err)
	}
	if len(list.Items) == 0 && last && len(r.begun) == 0 {
		return &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("no pod of attempt %d of %s is left", attempt, o.Name),
			Hint: "pods of a job that is over are kept for 24 hours, those of an attempt that was taken back are not"}
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return cmp.Compare(indexOf(&a), indexOf(&b)) })
	r.calm = len(list.Items) >= len(o.Status.Seats)
	for i := range list.Items {
		pod := &list.Items[i]
		r.calm = r.calm && started(pod)
		if r.begun[string(pod.UID)] || !started(pod) || !r.meant(pod) {
			continue
		}
		r.begun[string(pod.UID)] = true
		r.running++
		r.pods.Go(func() {
			err := r.read(ctx, pod)
			select {
			case r.ended <- err:
			case <-ctx.Done():
			}
		})
	}
	return nil
}

// rest waits a little, or until a pod is read to its end.
func (r *reader) rest(ctx context.Context) error {
	pause := logRest
	if r.calm && r.running > 0 {
		pause = 10 * logRest
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case err := <-r.ended:
		r.running--
		return err
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// started reports whether a pod has printed anything perhaps.
func started(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == containerMain && (s.State.Running != nil || s.State.Terminated != nil)
	})
}

func indexOf(pod *corev1.Pod) int {
	index, _ := strconv.Atoi(pod.Labels[labelIndex])
	return index
}

// launched reports whether the workers of a pod are started by the launcher, which writes whose a line is.
func launched(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return slices.Contains(c.Command, launcherPath) })
}

// meant leaves out pods that do not hold the rank that is asked for, as far as that can be told.
func (r *reader) meant(pod *corev1.Pod) bool {
	return r.query.Rank < 0 || launched(pod) || indexOf(pod) == r.query.Rank
}

// rankPrefix is how the launcher begins a line of a worker.
const rankPrefix = "[rank "

// read copies one pod's output to its end.
func (r *reader) read(ctx context.Context, pod *corev1.Pod) error {
	request := r.client.clients.core.Get().Namespace(pod.Namespace).Resource(resourcePods).Name(pod.Name).SubResource("log").
		Param("container", containerMain).Param("follow", strconv.FormatBool(r.query.Follow))
	if r.query.Tail > 0 {
		request = request.Param("tailLines", strconv.Itoa(r.query.Tail))
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return r.client.problem(err)
	}
	defer body.Close()
	own := "[" + strconv.Itoa(indexOf(pod)) + "] "
	if launched(pod) {
		own = "[node " + strconv.Itoa(indexOf(pod)) + "] "
	}
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			if err := r.write(own, bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // a line without an end is cut
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return &nexus.Error{Code: nexus.CodeUnavailable, Message: "the output of pod " + pod.Name + " broke off: " + err.Error()}
		}
	}
}

// write writes one line: as a worker's where it says whose it is, else as the pod's.
func (r *reader) write(own string, line []byte) error {
	text := string(line)
	if rest, ok := strings.CutPrefix(text, rankPrefix); ok {
		if rank, said, ok := strings.Cut(rest, "] "); ok {
			own, text = "["+rank+"] ", said
		}
	}
	if r.query.Rank >= 0 {
		if own != "["+strconv.Itoa(r.query.Rank)+"] " {
			return nil
		}
		own = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := io.WriteString(r.out, own+text+"\n")
	return err
}

// Events tells what becomes of all jobs of the namespace from now on, as far as their records say it; what was before is
// not kept anywhere. The channel is closed when ctx ends or the watch breaks off.
func (c *Client) Events(ctx context.Context, _ uint64) (<-chan nexus.Event, error) {
	return c.follow(ctx, "")
}

// JobEvents is Events for one job.
func (c *Client) JobEvents(ctx context.Context, ref string, _ uint64) (<-chan nexus.Event, error) {
	o, err := c.one(ctx, ref)
	if err != nil {
		return nil, err
	}
	return c.follow(ctx, "metadata.name="+o.Name)
}

// follow watches records. How they stand at the beginning is no news.
func (c *Client) follow(ctx context.Context, fields string) (<-chan nexus.Event, error) {
	ctx = silent(ctx)
	var list v1alpha1.NexusJobList
	jobs := c.clients.nexus.Get().Namespace(c.namespace).Resource(resourceJobs)
	if err := jobs.Param("fieldSelector", fields).Timeout(requestPatience).Do(ctx).Into(&list); err != nil {
		return nil, c.problem(err)
	}
	told := map[string]string{}
	for i := range list.Items {
		told[list.Items[i].Name] = storyOf(&list.Items[i])
	}
	watch, err := c.clients.nexus.Get().Namespace(c.namespace).Resource(resourceJobs).Param("fieldSelector", fields).Param("watch", "true").
		Param("resourceVersion", list.ResourceVersion).Watch(ctx)
	if err != nil {
		return nil, c.problem(err)
	}
	events := make(chan nexus.Event)
	go func() {
		defer close(events)
		defer watch.Stop()
		for {
			var o *v1alpha1.NexusJob
			select {
			case <-ctx.Done():
				return
			case e, open := <-watch.ResultChan():
				if !open {
					return
				}
				var ok bool
				if o, ok = e.Object.(*v1alpha1.NexusJob); !ok {
					return // the server ends it: whoever reads comes again
				}
			}
			story := storyOf(o)
			if told[o.Name] == story {
				continue
			}
			told[o.Name] = story
			seq, _ := strconv.ParseUint(o.ResourceVersion, 10, 64)
			e := nexus.Event{Seq: seq, At: time.Now().UTC(), Job: o.Name, Attempt: o.Status.Attempt, Kind: nexus.EventPhase, Message: story}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}

// storyOf is what an event says of a record.
func storyOf(o *v1alpha1.NexusJob) string {
	return cmp.Or(o.Status.Phase, string(nexus.Pending)) + ": " + o.Status.Message
}
