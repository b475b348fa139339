package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/api"
	"ainexus.io/cluster/kube/code"
	"ainexus.io/cluster/kube/v1alpha1"
)

// code: upload. The submitter packs his directory and puts it, in parts, into Secrets that the NexusJob owns; an init
// container lays it out. The NexusJob is there first, since the Secrets are to go with it, and is held until they are.
const (
	// AnnotationCode is what was uploaded: the archive's checksum and in how many parts it is.
	AnnotationCode = v1alpha1.Group + "/code"
	// workspace is where the code is in the pods.
	workspace = "/workspace"
	// partsDir is where the init container finds the parts.
	partsDir = "/opt/nexus-code"
	// partSize is how much of an archive one Secret holds; a Secret holds 1 MiB at most.
	partSize = 900 << 10
	// holdUpload is who holds a job whose code is on its way.
	holdUpload = "nexus-submit-uploads-its-code"
)

// errNoLauncher says that nothing in a pod could unpack code.
var errNoLauncher = errors.New("code: upload needs the controller's --launcher-image, whose program unpacks it")

// packed packs the code of a submission and writes on its NexusJob what will come.
func packed(o *v1alpha1.NexusJob, s api.Submission) (code.Archive, error) {
	dir := s.Spec.Workdir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.Dir, dir)
	}
	a, err := code.Pack(dir)
	if err != nil {
		return a, err
	}
	o.Annotations[AnnotationCode] = fmt.Sprintf("%s/%d", a.Sum, (len(a.Data)+partSize-1)/partSize)
	if o.Annotations[AnnotationHold] == "" {
		o.Annotations[AnnotationHold] = holdUpload
	}
	return a, nil
}

// codeOfJob reads what [packed] wrote.
func codeOfJob(o *v1alpha1.NexusJob) (sum string, parts int) {
	sum, number, _ := strings.Cut(o.Annotations[AnnotationCode], "/")
	parts, _ = strconv.Atoi(number)
	return sum, min(max(parts, 0), code.Most/partSize+1)
}

func partName(job string, i int) string { return fmt.Sprintf("%s-code-%d", job, i) }

// upload makes the Secrets and lets the job go. Where that fails the job is taken back.
func (c *Client) upload(ctx context.Context, o *v1alpha1.NexusJob, a code.Archive, stays bool) (*v1alpha1.NexusJob, error) {
	_, parts := codeOfJob(o)
	for i := range parts {
		yes := true
		part := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: partName(o.Name, i), Labels: map[string]string{LabelJob: string(o.UID), LabelName: o.Name},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion().String(), Kind: "NexusJob", Name: o.Name, UID: o.UID}}},
			Immutable: &yes, Data: map[string][]byte{"part": a.Data[i*partSize : min((i+1)*partSize, len(a.Data))]},
		}
		err := c.clients.core.Post().Namespace(o.Namespace).Resource("secrets").Timeout(requestPatience).Body(part).Do(ctx).Error()
		if err == nil || apierrors.IsAlreadyExists(err) {
			continue
		}
		back := c.clients.nexus.Delete().Namespace(o.Namespace).Resource(resourceJobs).Name(o.Name).Timeout(requestPatience).
			Body(&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &o.UID}}).Do(context.WithoutCancel(ctx)).Error()
		if back != nil {
			return nil, errors.Join(c.problem(err), c.problem(back))
		}
		return nil, c.problem(err)
	}
	if stays {
		return o, nil
	}
	for range tries {
		if o.Annotations[AnnotationHold] != holdUpload {
			return o, nil
		}
		let, err := c.patch(ctx, o, annotation(AnnotationHold, nil))
		if err == nil {
			return let, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, c.problem(err)
		}
		if o, err = c.clients.job(ctx, o.Namespace, o.Name); err != nil {
			return nil, c.problem(err)
		}
	}
	return nil, cannot(fmt.Sprintf("job %s is uploaded and still held: its record changes all the time", o.Name), "nexus release "+o.Name)
}

// addCode has an init container lay out what was uploaded, where the command starts.
func addCode(spec *corev1.PodSpec, o *v1alpha1.NexusJob, opts Options) {
	sum, parts := codeOfJob(o)
	if parts == 0 || opts.LauncherImage == "" {
		return
	}
	sources := make([]corev1.VolumeProjection, parts)
	for i := range sources {
		sources[i].Secret = &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: partName(cmp.Or(o.Labels[LabelArray], o.Name), i)},
			Items: []corev1.KeyToPath{{Key: "part", Path: code.PartName(i)}}}
	}
	spec.Volumes = append(spec.Volumes,
		corev1.Volume{Name: "code-parts", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}},
		corev1.Volume{Name: "code", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	there := corev1.VolumeMount{Name: "code", MountPath: workspace}
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, there)
	spec.InitContainers = append(spec.InitContainers, corev1.Container{
		Name: "code", Image: opts.LauncherImage, Command: []string{"/nexus", "unpack", partsDir, sum, workspace},
		VolumeMounts: []corev1.VolumeMount{there, {Name: "code-parts", MountPath: partsDir, ReadOnly: true}},
	})
}
