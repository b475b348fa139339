package kube

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"ainexus.io/cluster/kube/v1alpha1"
)

// watch has everything told to the view: once what there is, then what changes.
func (p *Place) watch() {
	c := p.clients
	queues := p.follow(c.nexus, resourceQueues, "", "", &v1alpha1.NexusQueue{}, p.queueTold, p.queueGone)
	synced := []cache.InformerSynced{
		// Who may not read queues serves the jobs of the default one.
		func() bool { return queues() || p.missing.has(v1alpha1.Group, resourceQueues, "list") },
		p.follow(c.core, resourceNodes, "", p.opts.Nodes, &corev1.Node{}, p.nodeTold, p.nodeGone),
		p.follow(c.nexus, resourceJobs, p.opts.Namespace, "", &v1alpha1.NexusJob{}, p.jobTold, p.jobGone),
		p.follow(c.batch, resourceBatch, p.opts.Namespace, LabelJob, &batchv1.Job{}, p.batchTold, p.batchGone),
		p.follow(c.batch, resourceBatch, p.opts.Namespace, LabelQueue+",!"+LabelJob, &batchv1.Job{}, p.foreignTold, p.foreignGone),
		p.watchShares(),
		// Of all namespaces: whoever has a pod on a node takes of it.
		p.follow(c.core, resourcePods, metav1.NamespaceAll, "", &corev1.Pod{}, p.podTold, p.podGone),
	}
	p.working.Go(func() {
		if cache.WaitForCacheSync(p.ctx.Done(), synced...) {
			p.listed.Store(true)
			p.recut() // for all nodes that were told before
			close(p.read)
		}
	})
	p.working.Go(p.lead)
}

// follow watches one resource. Told and gone are called by one goroutine, in order.
func (p *Place) follow(client rest.Interface, resource, namespace, labels string, of runtime.Object, told func(any), gone func(metav1.Object)) cache.InformerSynced {
	list := cache.NewFilteredListWatchFromClient(client, resource, namespace, func(o *metav1.ListOptions) {
		o.LabelSelector = labels
	})
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: list, ObjectType: of, Transform: strip,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    told,
			UpdateFunc: func(_, now any) { told(now) },
			DeleteFunc: func(o any) {
				if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
					o = last.Obj
				}
				if object, ok := o.(metav1.Object); ok {
					gone(object)
				}
			},
		},
	})
	p.working.Go(func() { informer.RunWithContext(p.ctx) })
	return informer.HasSynced
}

// strip leaves out what nobody here reads and what would be most of the memory.
func strip(o any) (any, error) {
	if object, ok := o.(metav1.Object); ok {
		object.SetManagedFields(nil)
	}
	switch o := o.(type) {
	case *corev1.Pod:
		stripPod(o)
	case *batchv1.Job:
		if o.Labels[LabelJob] == "" { // of somebody's: its record and its pods are planned by (foreign.go)
			break
		}
		o.OwnerReferences, o.Annotations, o.Finalizers = nil, nil, nil
		o.Spec = batchv1.JobSpec{}
		o.Status = batchv1.JobStatus{Conditions: o.Status.Conditions}
	case *corev1.Node:
		said, told := o.Annotations[AnnotationGPUs]
		o.Annotations = nil
		if told {
			o.Annotations = map[string]string{AnnotationGPUs: said}
		}
		o.Status = corev1.NodeStatus{Allocatable: o.Status.Allocatable, Conditions: o.Status.Conditions}
	case *v1alpha1.NexusJob:
		delete(o.Annotations, corev1.LastAppliedConfigAnnotation) // no write of a status touches it
	}
	return o, nil
}

// stripPod leaves what [podOf] reads.
func stripPod(o *corev1.Pod) {
	index, indexed := o.Annotations[batchv1.JobCompletionIndexAnnotation]
	o.OwnerReferences, o.Finalizers, o.Annotations = nil, nil, nil
	if indexed {
		o.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
	labels := map[string]string{}
	for _, key := range []string{LabelJob, LabelAttempt} {
		if value, ok := o.Labels[key]; ok {
			labels[key] = value
		}
	}
	o.Labels = labels
	bare := func(list []corev1.Container) []corev1.Container {
		for i := range list {
			c := &list[i]
			*c = corev1.Container{Name: c.Name, Resources: c.Resources, RestartPolicy: c.RestartPolicy}
		}
		return list
	}
	o.Spec = corev1.PodSpec{NodeName: o.Spec.NodeName, Overhead: o.Spec.Overhead, InitContainers: bare(o.Spec.InitContainers), Containers: bare(o.Spec.Containers)}
	states := func(list []corev1.ContainerStatus) []corev1.ContainerStatus {
		for i := range list {
			list[i] = corev1.ContainerStatus{Name: list[i].Name, State: list[i].State}
		}
		return list
	}
	o.Status = corev1.PodStatus{
		Phase: o.Status.Phase, Reason: o.Status.Reason, Message: o.Status.Message,
		InitContainerStatuses: states(o.Status.InitContainerStatuses), ContainerStatuses: states(o.Status.ContainerStatuses),
		Conditions: slices.DeleteFunc(o.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type != corev1.PodScheduled && c.Type != corev1.DisruptionTarget
		}),
	}
}

func (p *Place) jobTold(o any) {
	j := o.(*v1alpha1.NexusJob)
	p.view.setJob(j)
	p.queue.Add(string(j.UID))
	p.tellKin(j)
	p.tellWaiters(j)
}

func (p *Place) jobGone(o metav1.Object) {
	p.view.dropJob(o)
	if j, ok := o.(*v1alpha1.NexusJob); ok {
		p.tellKin(j)
	}
	p.tellWaiters(o)
}

// tellKin has those looked at who belong to a job: its members, or its array.
func (p *Place) tellKin(o *v1alpha1.NexusJob) {
	for _, id := range p.view.kin(o) {
		p.queue.Add(id)
	}
}

// tellWaiters has those looked at who wait for a job.
func (p *Place) tellWaiters(o metav1.Object) {
	for _, waiter := range p.view.waiters(o) {
		p.queue.Add(waiter)
	}
}

func (p *Place) batchTold(o any) {
	j := o.(*batchv1.Job)
	p.view.setBatch(j)
	p.queue.Add(j.Labels[LabelJob])
}

func (p *Place) batchGone(o metav1.Object) {
	p.view.dropBatch(o)
	p.queue.Add(o.GetLabels()[LabelJob])
}

func (p *Place) podTold(o any) {
	pod := o.(*corev1.Pod)
	kept := podOf(pod)
	if kept.over && kept.job == "" {
		kept = nil
	}
	p.view.setPod(pod.Namespace, pod.Name, kept)
	if id := pod.Labels[LabelJob]; id != "" {
		p.queue.Add(id)
	}
}

func (p *Place) podGone(o metav1.Object) {
	p.view.setPod(o.GetNamespace(), o.GetName(), nil)
	if id := o.GetLabels()[LabelJob]; id != "" {
		p.queue.Add(id)
	}
}

func (p *Place) nodeTold(o any) {
	n := nodeOf(o.(*corev1.Node))
	other := p.view.sizedAnew(&n)
	if p.view.setNode(n.Name, &n) != n.State {
		for _, id := range p.view.onNode(n.Name) {
			p.queue.Add(id)
		}
	}
	p.rejudge()
	if other && p.listed.Load() {
		p.recut()
	}
}

func (p *Place) nodeGone(o metav1.Object) {
	p.view.setNode(o.GetName(), nil)
	p.rejudge()
	p.recut()
}

func (p *Place) queueTold(o any) {
	object := o.(*v1alpha1.NexusQueue)
	q, err := queueOf(object)
	if err != nil {
		p.log.Error("a queue cannot be read and keeps what it said before", "queue", object.Name, "error", err)
		return
	}
	p.view.setQueue(q.Name, &q)
}

func (p *Place) queueGone(o metav1.Object) { p.view.setQueue(o.GetName(), nil) }
