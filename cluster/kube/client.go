package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// The names by which the API server knows what we use.
const (
	resourceJobs     = "nexusjobs"
	resourceQueues   = "nexusqueues"
	resourceBatch    = "jobs"
	resourcePods     = "pods"
	resourceNodes    = "nodes"
	resourceServices = "services"
	resourceEvents   = "events"
	resourceLeases   = "leases"
	resourcePolicies = "networkpolicies"
)

// clients speak to one API server. There is one per group and no clientset: a clientset would link every group that
// Kubernetes has into every process of ours.
type clients struct {
	core, batch, nexus rest.Interface
	coordination       rest.Interface
	resource           rest.Interface
	scheduling         rest.Interface
	networking         rest.Interface
}

// config reads how to reach the API server: a file, or, where none is named, what a pod finds.
func config(kubeconfig string) (*rest.Config, error) {
	read := rest.InClusterConfig
	if kubeconfig != "" {
		read = func() (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", kubeconfig) }
	}
	c, err := read()
	if err != nil {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "reading how to reach the API server: " + err.Error(), Hint: "name a file by --kubeconfig or KUBECONFIG"}
	}
	return c, nil
}

// ownNamespace is that of the pod we run in; outside of pods what the kubeconfig says, else "default".
func ownNamespace(kubeconfig string) string {
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if name := strings.TrimSpace(string(text)); err == nil && name != "" {
		return name
	}
	if kubeconfig != "" {
		rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
		if name, _, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).Namespace(); err == nil {
			return name
		}
	}
	return metav1.NamespaceDefault
}

// newClients makes clients whose requests pass the gate, those about leases apart; nil: there is none. The limits are per
// second for each group, as bounds on a fault of ours: the API server looks after itself.
func newClients(c *rest.Config, gated func(http.RoundTripper) http.RoundTripper) (*clients, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, batchv1.AddToScheme, coordinationv1.AddToScheme, resourcev1.AddToScheme, schedulingv1beta1.AddToScheme, networkingv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering types: %w", err)
		}
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	client := func(gv schema.GroupVersion, path, content string) (rest.Interface, error) {
		own := rest.CopyConfig(c)
		own.GroupVersion, own.APIPath, own.NegotiatedSerializer = &gv, path, codecs
		own.ContentType = content
		own.AcceptContentTypes = content + "," + runtime.ContentTypeJSON
		own.QPS, own.Burst = 500, 1000
		if gated != nil && gv != coordinationv1.SchemeGroupVersion {
			own.Wrap(gated)
		}
		if own.UserAgent == "" {
			own.UserAgent = "nexus-controller"
		}
		client, err := rest.RESTClientFor(own)
		if err != nil {
			return nil, fmt.Errorf("making a client of %s: %w", gv, err)
		}
		return client, nil
	}
	made := &clients{}
	var err error
	if made.core, err = client(corev1.SchemeGroupVersion, "/api", runtime.ContentTypeProtobuf); err != nil {
		return nil, err
	}
	if made.batch, err = client(batchv1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf); err != nil {
		return nil, err
	}
	if made.coordination, err = client(coordinationv1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf); err != nil {
		return nil, err
	}
	if made.resource, err = client(resourcev1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf); err != nil {
		return nil, err
	}
	if made.scheduling, err = client(schedulingv1beta1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf); err != nil {
		return nil, err
	}
	if made.networking, err = client(networkingv1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf); err != nil {
		return nil, err
	}
	made.nexus, err = client(v1alpha1.GroupVersion(), "/apis", runtime.ContentTypeJSON)
	return made, err
}

// requestPatience bounds one request that is not a watch.
const requestPatience = 30 * time.Second

// job reads a job as the API server now has it.
func (c *clients) job(ctx context.Context, namespace, name string) (*v1alpha1.NexusJob, error) {
	got := &v1alpha1.NexusJob{}
	err := c.nexus.Get().Namespace(namespace).Resource(resourceJobs).Name(name).Timeout(requestPatience).Do(ctx).Into(got)
	return got, err
}

// putStatus writes the status of a job; a conflict says that it has moved on. Nothing but the status is sent: of the rest
// the API server keeps what it has, and would only read it. Nor is what it answers read, but for the version, and for whether
// it kept the place in line: that is the job as it was given, which it returns.
func (c *clients) putStatus(ctx context.Context, j *v1alpha1.NexusJob) (*v1alpha1.NexusJob, error) {
	type meta struct {
		Namespace       string    `json:"namespace"`
		Name            string    `json:"name"`
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
	}
	body, err := json.Marshal(struct {
		APIVersion string              `json:"apiVersion"`
		Kind       string              `json:"kind"`
		Metadata   meta                `json:"metadata"`
		Status     *v1alpha1.JobStatus `json:"status"`
	}{v1alpha1.GroupVersion().String(), "NexusJob", meta{j.Namespace, j.Name, j.UID, j.ResourceVersion}, &j.Status})
	if err != nil {
		return nil, err
	}
	answer := c.nexus.Put().Namespace(j.Namespace).Resource(resourceJobs).Name(j.Name).SubResource("status").
		Timeout(requestPatience).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx)
	if err := answer.Error(); err != nil {
		return nil, err
	}
	text, err := answer.Raw()
	if err != nil {
		return nil, err
	}
	var got struct {
		Metadata meta
		Status   struct{ Line *struct{} }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	written := *j
	written.UID, written.ResourceVersion = got.Metadata.UID, got.Metadata.ResourceVersion
	if got.Status.Line == nil {
		written.Status.Line = nil
	}
	return &written, nil
}

// attempt reads the Job of an attempt as the API server now has it; nil where there is none.
func (c *clients) attempt(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	got := &batchv1.Job{}
	err := c.batch.Get().Namespace(namespace).Resource(resourceBatch).Name(name).Timeout(requestPatience).Do(ctx).Into(got)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return got, err
}

func (c *clients) createAttempt(ctx context.Context, j *batchv1.Job) error {
	return c.batch.Post().Namespace(j.Namespace).Resource(resourceBatch).Timeout(requestPatience).Body(j).Do(ctx).Error()
}

// deleteAttempt has the pods ended first, and the Job gone when they are.
func (c *clients) deleteAttempt(ctx context.Context, j *batchv1.Job) error {
	foreground := metav1.DeletePropagationForeground
	err := c.batch.Delete().Namespace(j.Namespace).Resource(resourceBatch).Name(j.Name).Timeout(requestPatience).
		Body(&metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &j.UID}}).Do(ctx).Error()
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // the second: another Job has that name now
		return nil
	}
	return err
}

// createService makes the Service of a job, unless an earlier attempt has. Another's of that name is [errInTheWay].
func (c *clients) createService(ctx context.Context, s *corev1.Service) error {
	return createOnce(ctx, c.core, resourceServices, s, &corev1.Service{})
}

// kubeObject is an object of the API server.
type kubeObject interface {
	metav1.Object
	runtime.Object
}

// createOnce makes an object of a job, unless it is there. Another's of that name is [errInTheWay].
func createOnce(ctx context.Context, client rest.Interface, resource string, o, there kubeObject) error {
	err := client.Post().Namespace(o.GetNamespace()).Resource(resource).Timeout(requestPatience).Body(o).Do(ctx).Error()
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := client.Get().Namespace(o.GetNamespace()).Resource(resource).Name(o.GetName()).Timeout(requestPatience).Do(ctx).Into(there); err != nil {
		return err
	}
	if there.GetLabels()[LabelJob] != o.GetLabels()[LabelJob] {
		return errInTheWay
	}
	return nil
}

// deleteOwn takes an object of a job away. Another's of that name stays.
func deleteOwn(ctx context.Context, client rest.Interface, resource, namespace, name, job string, there kubeObject) error {
	err := client.Get().Namespace(namespace).Resource(resource).Name(name).Timeout(requestPatience).Do(ctx).Into(there)
	if err == nil && there.GetLabels()[LabelJob] != job {
		return nil
	}
	if err == nil {
		uid := there.GetUID()
		err = client.Delete().Namespace(namespace).Resource(resource).Name(name).Timeout(requestPatience).
			Body(&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}).Do(ctx).Error()
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // the second: another has that name now
		return nil
	}
	return err
}

// errInTheWay says that an object of that name is another's, of a job of that name that was deleted perhaps.
var errInTheWay = errors.New("another's is in the way")

func (c *clients) createEvent(ctx context.Context, e *corev1.Event) error {
	return c.core.Post().Namespace(e.Namespace).Resource(resourceEvents).Timeout(requestPatience).Body(e).Do(ctx).Error()
}
