package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"ainexus.io/nexus"
)

// Client is a cluster at the other end of the wire, as [ainexus.io/api.Client] is a daemon: what a user does with
// NexusJobs, as himself and by his own rights. It needs no daemon and asks no controller anything: all that it tells is in
// the objects. A job's id is the name of its NexusJob in the namespace; its errors are [nexus.Error].
type Client struct {
	clients   *clients
	config    *rest.Config
	namespace string
	where     string // for people
}

// Reach says which cluster is meant.
type Reach struct {
	// Kubeconfig are the paths of files that say how to reach API servers, as KUBECONFIG has them: a list. No default.
	Kubeconfig string
	// Context is one of theirs. Default: their current one.
	Context string
}

// Known is a context of a kubeconfig.
type Known struct {
	Name, Server, Namespace string
	Current                 bool
}

func (r Reach) config() clientcmd.ClientConfig {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(r.Kubeconfig)}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: r.Context})
}

// Contexts lists what the files know, by name.
func (r Reach) Contexts() ([]Known, error) {
	raw, err := r.config().RawConfig()
	if err != nil {
		return nil, unreadable(r, err)
	}
	var list []Known
	for _, name := range slices.Sorted(maps.Keys(raw.Contexts)) {
		c := raw.Contexts[name]
		known := Known{Name: name, Namespace: cmp.Or(c.Namespace, metav1.NamespaceDefault), Current: name == cmp.Or(r.Context, raw.CurrentContext)}
		if cluster := raw.Clusters[c.Cluster]; cluster != nil {
			known.Server = cluster.Server
		}
		list = append(list, known)
	}
	return list, nil
}

// NewClient reads how to reach the API server. Nothing is sent.
func NewClient(r Reach) (*Client, error) {
	loader := r.config()
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, unreadable(r, err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, unreadable(r, err)
	}
	config.UserAgent = "nexus"
	clients, err := newClients(config, nil)
	if err != nil {
		return nil, err
	}
	return &Client{clients: clients, config: config, namespace: namespace, where: "the API server at " + config.Host}, nil
}

// Where says what is spoken to.
func (c *Client) Where() string { return "namespace " + c.namespace + " of " + c.where }

func unreadable(r Reach, err error) error {
	return &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the kubeconfig %s names no cluster that can be reached: %v", r.Kubeconfig, err),
		Hint: "kubectl config get-contexts lists what there is; nexus context use local goes back to this machine"}
}

// silent keeps client-go from writing on the terminal what the error says too.
func silent(ctx context.Context) context.Context { return klog.NewContext(ctx, klog.Logger{}) }

// problem says to a user what an API server answered.
func (c *Client) problem(err error) error {
	var network *url.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case apierrors.IsForbidden(err):
		return &nexus.Error{Code: nexus.CodeDenied, Message: err.Error(), Hint: "ask for the rule that is missing; docs/kubernetes.md has a Role for users"}
	case apierrors.IsUnauthorized(err):
		return &nexus.Error{Code: nexus.CodeDenied, Message: c.where + " does not know who you are: " + err.Error(), Hint: "log in again, as for kubectl"}
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource"):
		return &nexus.Error{Code: nexus.CodeUnavailable, Message: c.where + " knows no NexusJobs", Hint: "install the controller (docs/kubernetes.md), or nexus context use local"}
	case apierrors.IsNotFound(err):
		return &nexus.Error{Code: nexus.CodeNotFound, Message: err.Error(), Hint: "nexus ps lists the jobs of namespace " + c.namespace}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return c.invalid(err)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return &nexus.Error{Code: nexus.CodeConflict, Message: err.Error(), Hint: "try again"}
	case apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err), errors.As(err, &network):
		return &nexus.Error{Code: nexus.CodeUnavailable, Message: c.where + " does not answer: " + err.Error(), Hint: "jobs that run do not need it; nexus context shows who is spoken to"}
	}
	return &nexus.Error{Code: nexus.CodeInternal, Message: err.Error()}
}

// invalid names the fields that the API server refuses.
func (c *Client) invalid(err error) error {
	var status *apierrors.StatusError
	var list nexus.Errors
	if errors.As(err, &status) && status.ErrStatus.Details != nil {
		for _, cause := range status.ErrStatus.Details.Causes {
			text := cause.Message
			if cause.Field != "" {
				text = cause.Field + ": " + text
			}
			list = append(list, &nexus.Error{Code: nexus.CodeInvalid, Field: cause.Field, Message: text})
		}
	}
	if len(list) == 0 {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: err.Error()}
	}
	return list
}

// cannot refuses what makes no sense on a cluster.
func cannot(what, hint string) error {
	return &nexus.Error{Code: nexus.CodeConflict, Message: what, Hint: hint}
}
