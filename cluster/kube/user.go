package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Pods of jobs run as their image's own user, unless that is root. What it is, only a kubelet knows, and it says so only when
// it is to start the container: then the attempt is given up, which costs the job nothing, and the next one has a user
// that is named. The job's record keeps that, and which images are such is remembered for the jobs to come.

// user is who runs in the pods of jobs whose image's own user cannot be, and lays out what they find there.
const user = int64(1000)

// refusedAsRoot reports whether the kubelet will not start a job's container because its image's user is root, or has a name
// that says nothing of whether it is.
func refusedAsRoot(o *corev1.Pod) bool {
	return slices.ContainsFunc(o.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		w := c.State.Waiting
		return c.Name == containerMain && w != nil && w.Reason == "CreateContainerConfigError" && strings.Contains(w.Message, "container has runAsNonRoot and image ")
	})
}

// asOther gives an attempt up whose image's own user cannot be: the next runs as another.
func (p *Place) asOther(ctx context.Context, s standing) error {
	return p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !s.still(&r, nexus.Starting) || st.User != 0 {
			return "", errMoved
		}
		st.User = user
		st.Phase, st.Stop, st.StopBy, st.Reason = string(nexus.Stopping), string(stopUser), p.stopBy(r), "OtherUser"
		st.Message = fmt.Sprintf("the user of the image %s is root, or has no number, and pods of jobs are not root: this job and those after it with that image run as user %d",
			p.view.images.of(&r.job.Spec), user)
		return "OtherUser", nil
	})
}

// images are those whose own user cannot be, as far as known jobs have met them.
type images struct {
	standard string // of jobs that name none
	rooted   []string
}

// maxImages bounds how many are remembered. One that is forgotten is met again.
const maxImages = 1000

func (i *images) of(s *nexus.Spec) string { return cmp.Or(s.Image, i.standard) }

// note remembers the image of a job.
func (i *images) note(s *nexus.Spec) {
	image := i.of(s)
	if slices.Contains(i.rooted, image) {
		return
	}
	if len(i.rooted) >= maxImages {
		i.rooted = slices.Delete(i.rooted, 0, 1)
	}
	i.rooted = append(i.rooted, image)
}

// rooted reports whether the image of a job is known to have a user that cannot be.
func (v *view) rooted(s *nexus.Spec) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.images.rooted, v.images.of(s))
}
