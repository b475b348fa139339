package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Ports of a training job, as contracts between its pods: the rendezvous and the first store.
const (
	portRendezvous = 29400
	portStore      = 29500
)

const (
	// kept is for how long the pods of an attempt that is over are kept.
	kept = 24 * time.Hour
	// margin is what a pod gets beyond the grace of its checkpoint.
	margin = 10 * time.Second
	// defaultGrace is what workers without a checkpoint get between TERM and KILL.
	defaultGrace = 30 * time.Second
)

func ownerOf(o *v1alpha1.NexusJob) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(o, v1alpha1.GroupVersion().WithKind("NexusJob"))}
}

func labelsOf(o *v1alpha1.NexusJob, number int) map[string]string {
	return map[string]string{LabelJob: string(o.UID), LabelName: o.Name, LabelAttempt: strconv.Itoa(number)}
}

// serviceName names the Service by which the pods of a job find one another, over all its attempts.
func serviceName(job string) string { return job + "-workers" }

// serviceFor is what gives the pods of a job with several nodes their names, also before they are ready.
func serviceFor(o *v1alpha1.NexusJob) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: serviceName(o.Name), OwnerReferences: ownerOf(o),
			Labels: map[string]string{LabelJob: string(o.UID), LabelName: o.Name}},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true, Selector: map[string]string{LabelJob: string(o.UID)},
			Ports: []corev1.ServicePort{
				{Name: "rendezvous", Port: portRendezvous, TargetPort: intstr.FromInt32(portRendezvous)},
				{Name: "store", Port: int32(masterPort(o)), TargetPort: intstr.FromInt(masterPort(o))},
			},
		},
	}
}

// attemptFor is the Job of an attempt: one pod per seat, each on a node of its own among those that were planned.
// A pod that fails ends all of them; another try is another Job.
func attemptFor(o *v1alpha1.NexusJob, j nexus.Job, opts Options) *batchv1.Job {
	nodes, none, indexed := int32(len(j.Placement.Seats)), int32(0), batchv1.IndexedCompletion
	ttl, failed := int32(kept/time.Second), batchv1.Failed
	name := attemptName(o.Name, j.Attempt)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: name, Labels: labelsOf(o, j.Attempt), OwnerReferences: ownerOf(o)},
		Spec: batchv1.JobSpec{
			Completions: &nodes, Parallelism: &nodes, CompletionMode: &indexed, BackoffLimit: &none,
			TTLSecondsAfterFinished: &ttl, PodReplacementPolicy: &failed,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(o, j.Attempt)},
				Spec:       podFor(o, j, opts),
			},
		},
	}
	if d := j.Spec.MaxDuration; d > 0 {
		seconds := int64(time.Duration(d) / time.Second)
		job.Spec.ActiveDeadlineSeconds = &seconds
	}
	for k, v := range j.Spec.Labels {
		if _, taken := job.Spec.Template.Labels[k]; !taken {
			job.Spec.Template.Labels[k] = v
		}
	}
	return job
}

func podFor(o *v1alpha1.NexusJob, j nexus.Job, opts Options) corev1.PodSpec {
	seats := j.Placement.Seats
	names := make([]string, len(seats))
	for i, s := range seats {
		names[i] = s.Node
	}
	slices.Sort(names)
	grace, lost, no := graceOf(&j.Spec), int64(opts.Lost/time.Second), false
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: amongNodes(names)}},
		Tolerations: []corev1.Toleration{
			{Key: string(ResourceGPU), Operator: corev1.TolerationOpExists},
			{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &lost},
			{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &lost},
		},
		Containers: []corev1.Container{containerFor(o, j, opts)},
	}
	if len(seats) > 1 {
		spec.Subdomain = serviceName(o.Name)
		spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{LabelJob: string(o.UID)}}, TopologyKey: corev1.LabelHostname,
		}}}
	}
	if f := o.Status.Defaults; f != nil && f.RuntimeClass != "" {
		spec.RuntimeClassName = &f.RuntimeClass
	}
	addClaim(&spec, o, j)
	addVolumes(&spec, &j.Spec)
	addLauncher(&spec, opts)
	addCode(&spec, o, opts)
	restrict(&spec, o.Status.User)
	return spec
}

// restrict makes a pod one that Pod Security's restricted level takes. Its root stays writable: training scripts
// write where they stand. The workers are the image's own user where none is named (user.go), our init containers are
// always the same, and a group that they have in common may write to what is mounted.
func restrict(spec *corev1.PodSpec, as int64) {
	id, yes, no, atNeed := user, true, false, corev1.FSGroupChangeOnRootMismatch
	spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, FSGroup: &id, FSGroupChangePolicy: &atNeed,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if spec.Subdomain != "" { // NCCL and gloo take any port between pods: these, so that a NetworkPolicy can name them
		spec.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.ip_local_port_range", Value: "29501 30524"}}
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			list[i].SecurityContext = &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}
		}
	}
	for i := range spec.InitContainers {
		c := spec.InitContainers[i].SecurityContext
		c.RunAsUser, c.RunAsGroup = &id, &id
	}
	if as > 0 {
		spec.SecurityContext.RunAsUser, spec.SecurityContext.RunAsGroup = &as, &as
	}
}

// graceOf is how many seconds a pod has from TERM to KILL.
func graceOf(s *nexus.Spec) int64 {
	if c := s.Checkpoint; c != nil {
		return int64((time.Duration(c.Grace) + margin) / time.Second)
	}
	return int64((defaultGrace + margin) / time.Second)
}

// amongNodes selects nodes by the names of their objects, not by a label: every node has that, and the kube-scheduler
// looks at no others. A field takes one value, so each node is a term of its own.
func amongNodes(names []string) *corev1.NodeSelector {
	s := &corev1.NodeSelector{}
	for _, name := range names {
		s.NodeSelectorTerms = append(s.NodeSelectorTerms, corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
		}})
	}
	return s
}

func containerFor(o *v1alpha1.NexusJob, j nexus.Job, opts Options) corev1.Container {
	seat := j.Placement.Seats[0]
	c := corev1.Container{
		Name: containerMain, Image: cmp.Or(j.Spec.Image, opts.Image), Env: envFor(o, j),
		Resources:                corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}},
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
	if path := j.Spec.Workdir; strings.HasPrefix(path, "/") {
		c.WorkingDir = path
	}
	c.Resources.Requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(seat.CPU), resource.DecimalSI)
	if seat.Memory > 0 {
		q := *resource.NewQuantity(int64(seat.Memory)<<20, resource.BinarySI)
		c.Resources.Requests[corev1.ResourceMemory], c.Resources.Limits[corev1.ResourceMemory] = q, q
	}
	if n := len(seat.GPUs); n > 0 && seat.Share == 0 {
		q := *resource.NewQuantity(int64(n), resource.DecimalSI)
		name := gpuResource(&j.Spec)
		c.Resources.Requests[name], c.Resources.Limits[name] = q, q
	}
	c.Command = argv(j.Spec.Run)
	if opts.LauncherImage != "" {
		c.Command = launch(o, j)
		c.Env = append(c.Env, orderFor(o, j)...)
	}
	if opts.LauncherImage == "" && !j.Spec.Setup.IsZero() {
		c.Command = append([]string{"/bin/sh", "-ec", script(j.Spec.Setup) + "\nexec \"$@\"", "setup"}, c.Command...)
	}
	return c
}

// launch is the launcher's command line. What every worker runs is in its order.
func launch(o *v1alpha1.NexusJob, j nexus.Job) []string {
	seats := j.Placement.Seats
	line := []string{launcherPath, "launch", "--nnodes", strconv.Itoa(len(seats)), "--nproc-per-node", strconv.Itoa(max(1, seats[0].Workers)),
		"--max-restarts", "0", "--rdzv-id", attemptName(string(o.UID), j.Attempt), "--rdzv-backend", "c10d",
		"--rdzv-endpoint", masterOf(o, j) + ":" + strconv.Itoa(portRendezvous)}
	if port := masterPort(o); port != portStore { // else that one is taken if it is free
		line = append(line, "--master-port", strconv.Itoa(port))
	}
	return line
}

// orderFor tells the launcher what it is an attempt of, and where it leaves how that ended. It is handed no restarts:
// another try is another attempt.
func orderFor(o *v1alpha1.NexusJob, j nexus.Job) []corev1.EnvVar {
	order := nexus.Order{Job: string(o.UID), Attempt: j.Attempt, User: o.Namespace, Spec: j.Spec, Seat: j.Placement.Seats[0]}
	order.Seat.Node, order.Spec.Env = "", nil // one template is all pods'; the container has the job's environment
	if j.Member != nil {
		member := *j.Member
		member.Array = o.Labels[LabelArray]
		order.Member = &member
	}
	text, err := json.Marshal(order)
	if err != nil {
		panic(err) // it was read from JSON
	}
	return []corev1.EnvVar{
		{Name: "NEXUS_NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
		{Name: "NEXUS_RESULT_FILE", Value: corev1.TerminationMessagePathDefault},
		{Name: "NEXUS_ORDER", Value: literal(string(text))},
	}
}

// script is a command as a line of a shell.
func script(c nexus.Command) string {
	if c.Argv == nil {
		return literal(c.Shell)
	}
	words := make([]string, len(c.Argv))
	for i, word := range c.Argv {
		words[i] = "'" + strings.ReplaceAll(literal(word), "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// launcherPath is where the init container leaves the static program.
const (
	launcherDir  = "/opt/nexus"
	launcherPath = launcherDir + "/nexus"
)

// addLauncher has the static program copied into the pod, so that any image will do.
func addLauncher(spec *corev1.PodSpec, opts Options) {
	if opts.LauncherImage == "" {
		return
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "nexus", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	mount := corev1.VolumeMount{Name: "nexus", MountPath: launcherDir}
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, mount)
	spec.InitContainers = append(spec.InitContainers, corev1.Container{
		Name: "nexus", Image: opts.LauncherImage, Command: []string{"/nexus", "copy-to", launcherPath}, VolumeMounts: []corev1.VolumeMount{mount},
	})
}

// addVolumes mounts what the job names, and a /dev/shm that is large enough for data loaders.
func addVolumes(spec *corev1.PodSpec, s *nexus.Spec) {
	mount := func(name, path string, readOnly bool, source corev1.VolumeSource) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		c := &spec.Containers[0]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: readOnly})
	}
	for i, v := range s.Volumes {
		source := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		if v.PVC != "" {
			source = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.PVC, ReadOnly: v.ReadOnly}}
		}
		mount(fmt.Sprintf("volume-%d", i), v.Path, v.ReadOnly, source)
	}
	size := cmp.Or(s.Resources.Shm, s.Resources.Memory/2)
	shm := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}
	if size > 0 {
		shm.SizeLimit = resource.NewQuantity(int64(size)<<20, resource.BinarySI)
	}
	mount("shm", "/dev/shm", false, corev1.VolumeSource{EmptyDir: shm})
}

// envFor is the environment of the workers. Secrets are references that the kubelet resolves.
func envFor(o *v1alpha1.NexusJob, j nexus.Job) []corev1.EnvVar {
	list := []corev1.EnvVar{
		{Name: "HOME", Value: "/tmp"}, // the image knows nothing of this user
		{Name: "USER", Value: "nexus"},
		{Name: "NEXUS_JOB_ID", Value: string(o.UID)},
		{Name: "NEXUS_ATTEMPT", Value: fmt.Sprintf("%s/%d", o.UID, j.Attempt)},
		{Name: "MASTER_ADDR", Value: masterOf(o, j)},
		{Name: "MASTER_PORT", Value: strconv.Itoa(masterPort(o))},
		{Name: "WANDB_RUN_ID", Value: string(o.UID)},
		{Name: "WANDB_RESUME", Value: "allow"},
	}
	if f := o.Status.Defaults; f != nil && f.Backend != "" {
		list = append(list, corev1.EnvVar{Name: "NEXUS_BACKEND", Value: f.Backend})
	}
	if m := j.Member; m != nil {
		list = append(list, corev1.EnvVar{Name: "NEXUS_ARRAY_ID", Value: o.Labels[LabelArray]}, corev1.EnvVar{Name: "NEXUS_ARRAY_INDEX", Value: strconv.Itoa(m.Index)},
			corev1.EnvVar{Name: "NEXUS_ARRAY_SIZE", Value: strconv.Itoa(m.Size)})
	}
	for _, name := range slices.Sorted(maps.Keys(j.Spec.Env)) {
		v := j.Spec.Env[name]
		list = slices.DeleteFunc(list, func(e corev1.EnvVar) bool { return e.Name == name })
		if v.From == "" {
			list = append(list, corev1.EnvVar{Name: name, Value: literal(v.Value)})
			continue
		}
		secret, key, _ := strings.Cut(strings.TrimPrefix(v.From, secretPrefix), "/")
		list = append(list, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key,
		}}})
	}
	return list
}

// literal keeps Kubernetes from reading $(NAME) in a value.
func literal(text string) string { return strings.ReplaceAll(text, "$(", "$$(") }

const secretPrefix = "secret:"

func isSecret(from string) bool {
	name, key, ok := strings.Cut(strings.TrimPrefix(from, secretPrefix), "/")
	return strings.HasPrefix(from, secretPrefix) && ok && name != "" && key != ""
}

// masterOf is where rank 0 of an attempt is found.
func masterOf(o *v1alpha1.NexusJob, j nexus.Job) string {
	if len(j.Placement.Seats) == 1 {
		return "127.0.0.1"
	}
	return attemptName(o.Name, j.Attempt) + "-0." + serviceName(o.Name)
}

// argv is a command as a container has it.
func argv(c nexus.Command) []string {
	list := c.Argv
	if list == nil {
		list = []string{"/bin/sh", "-ec", c.Shell}
	}
	list = slices.Clone(list)
	for i := range list {
		list[i] = literal(list[i])
	}
	return list
}
