package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"ainexus.io/api"
	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

// Nodes lists the nodes and what NexusJobs hold of them. Nobody measures devices here: the node agents' metrics do.
func (c *Client) Nodes(ctx context.Context) ([]api.NodeView, error) {
	ctx = silent(ctx)
	var list corev1.NodeList
	if err := c.clients.core.Get().Resource(resourceNodes).Timeout(requestPatience).Do(ctx).Into(&list); err != nil {
		return nil, c.problem(err)
	}
	jobs, err := c.everywhere(ctx)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	views := make([]api.NodeView, len(list.Items))
	for i := range list.Items {
		n := nodeOf(&list.Items[i])
		at[n.Name] = i
		views[i] = api.NodeView{Node: n, Devices: []api.DeviceView{}}
		for _, g := range n.GPUs {
			views[i].Devices = append(views[i].Devices, api.DeviceView{GPU: g, UtilPercent: -1, Used: -1, TemperatureC: -1, PowerMW: -1, PowerLimitMW: -1, Sampled: time.Time{}})
		}
		if len(n.GPUs) == 0 {
			views[i].NoGPU = "its device plugin counts none"
		}
	}
	for i := range jobs {
		for _, s := range jobs[i].Status.Seats {
			k, ok := at[s.Node]
			if !ok {
				continue
			}
			v, id := &views[k], shortName(c, &jobs[i])
			v.Jobs = append(v.Jobs, id)
			v.CPUUsed += nexus.CPU(s.CPU)
			v.MemoryUsed += nexus.MiB(s.Memory)
			for _, g := range s.GPUs {
				if g >= 0 && g < len(v.Devices) {
					v.Devices[g].Jobs = append(v.Devices[g].Jobs, id)
					v.Devices[g].Allocated = v.Devices[g].Memory
				}
			}
		}
	}
	slices.SortFunc(views, func(a, b api.NodeView) int { return strings.Compare(a.Name, b.Name) })
	return views, nil
}

// shortName is a job's name, with its namespace where that is another.
func shortName(c *Client, o *v1alpha1.NexusJob) string {
	if o.Namespace == c.namespace {
		return o.Name
	}
	return o.Namespace + "/" + o.Name
}

// everywhere are the NexusJobs that the user may see: of all namespaces, else of his own.
func (c *Client) everywhere(ctx context.Context) ([]v1alpha1.NexusJob, error) {
	list, err := c.objects(ctx, metav1.NamespaceAll, "")
	var e *nexus.Error
	if errors.As(err, &e) && e.Code == nexus.CodeDenied {
		return c.objects(ctx, c.namespace, "")
	}
	return list, err
}

// Queues lists the queues and what the jobs that the user may see hold of them.
func (c *Client) Queues(ctx context.Context) ([]nexus.QueueState, error) {
	ctx = silent(ctx)
	var list v1alpha1.NexusQueueList
	if err := c.clients.nexus.Get().Resource(resourceQueues).Timeout(requestPatience).Do(ctx).Into(&list); err != nil {
		return nil, c.problem(err)
	}
	jobs, err := c.everywhere(ctx)
	if err != nil {
		return nil, err
	}
	s := nexus.Snapshot{At: time.Now().UTC()}
	for i := range list.Items {
		q, err := queueOf(&list.Items[i])
		if err != nil {
			return nil, err
		}
		s.Queues = append(s.Queues, q)
	}
	if !slices.ContainsFunc(s.Queues, func(q nexus.Queue) bool { return q.Name == nexus.DefaultQueue }) {
		s.Queues = append(s.Queues, nexus.Queue{Name: nexus.DefaultQueue})
	}
	for i := range jobs {
		if j, wrong := jobOf(&jobs[i], true); wrong == nil && !j.Phase.Over() && !isArray(&j) {
			s.Jobs = append(s.Jobs, j)
		}
	}
	var nodes corev1.NodeList // models of GPUs are theirs; who may not see nodes sees no rows by model
	if err := c.clients.core.Get().Resource(resourceNodes).Timeout(requestPatience).Do(ctx).Into(&nodes); err == nil {
		for i := range nodes.Items {
			s.Nodes = append(s.Nodes, nodeOf(&nodes.Items[i]))
		}
	}
	return sched.QueueStates(s), nil
}

// ApplyQueues adds queues and replaces those of the same name. The API server is asked about all of them before the first
// is written.
func (c *Client) ApplyQueues(ctx context.Context, queues []nexus.Queue) (api.QueueChanges, error) {
	var changes api.QueueChanges
	for _, dry := range []bool{true, false} {
		changes.Queues = nil
		for _, q := range queues {
			change, err := c.applyQueue(ctx, q, dry)
			if err != nil {
				return api.QueueChanges{}, c.problem(err)
			}
			changes.Queues = append(changes.Queues, api.QueueChange{Name: q.Name, Change: change})
		}
	}
	return changes, nil
}

func (c *Client) applyQueue(ctx context.Context, q nexus.Queue, dry bool) (change string, err error) {
	ctx = silent(ctx)
	name := q.Name
	q.Name = ""
	document, err := json.Marshal(q)
	if err != nil {
		return "", fmt.Errorf("writing queue %s: %w", name, err)
	}
	o := &v1alpha1.NexusQueue{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "NexusQueue"}, ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := json.Unmarshal(document, &o.Spec); err != nil {
		return "", fmt.Errorf("writing queue %s: %w", name, err)
	}
	trial := func(r *rest.Request) *rest.Request {
		if dry {
			r = r.Param("dryRun", metav1.DryRunAll)
		}
		return r.Resource(resourceQueues).Timeout(requestPatience)
	}
	got, there := &v1alpha1.NexusQueue{}, &v1alpha1.NexusQueue{}
	err = c.clients.nexus.Get().Resource(resourceQueues).Name(name).Timeout(requestPatience).Do(ctx).Into(there)
	if apierrors.IsNotFound(err) {
		return "created", trial(c.clients.nexus.Post()).Body(o).Do(ctx).Error()
	}
	if err != nil {
		return "", err
	}
	o.ObjectMeta = there.ObjectMeta
	if err := trial(c.clients.nexus.Put()).Name(name).Body(o).Do(ctx).Into(got); err != nil {
		return "", err
	}
	if got.Generation == there.Generation {
		return "unchanged", nil
	}
	return "changed", nil
}

// DeleteQueue deletes a queue that has no jobs.
func (c *Client) DeleteQueue(ctx context.Context, name string) error {
	ctx = silent(ctx)
	jobs, err := c.everywhere(ctx)
	if err != nil {
		return err
	}
	for i := range jobs {
		if o := &jobs[i]; o.Spec.Queue == name && !nexus.Phase(o.Status.Phase).Over() {
			return cannot(fmt.Sprintf("queue %s has jobs: %s/%s is one", name, o.Namespace, o.Name), "cancel them, or let them end")
		}
	}
	err = c.clients.nexus.Delete().Resource(resourceQueues).Name(name).Timeout(requestPatience).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("there is no queue %q", name), Hint: "nexus queues lists them"}
	}
	return c.problem(err)
}

// History is refused: a cluster keeps no account of what was.
func (c *Client) History(context.Context, string, nexus.Duration) (api.HistoryList, error) {
	return api.HistoryList{}, cannot("a cluster keeps no account of GPU-hours", "its metrics tell: docs/kubernetes.md")
}
