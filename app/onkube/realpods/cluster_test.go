package realpods

import (
	"testing"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// cluster is a namespace of a control plane.
type cluster struct {
	t     *testing.T
	plane *kubetest.Plane
	space string
}

// until waits until a job is as it should be.
func (c cluster) until(name, what string, ok func(kubetest.Job) bool) kubetest.Job {
	c.t.Helper()
	return c.plane.UntilJob(c.t, c.space, name, what, ok)
}

func (c cluster) phase(name string, phase nexus.Phase) kubetest.Job {
	c.t.Helper()
	return c.until(name, string(phase), func(o kubetest.Job) bool { return o.Status.Phase == phase })
}

// document applies a document as it is.
func (c cluster) document(text string) {
	c.t.Helper()
	c.plane.Apply(c.t, c.space, text)
}
