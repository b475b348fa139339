package kube

import (
	"path"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// ConditionNotDurable says that the checkpoints of a job end with its pods.
const ConditionNotDurable = "CheckpointNotDurable"

// fleeting says why a job's checkpoints do not outlive its attempt, where another attempt or another node would need them;
// empty where they do.
func fleeting(s *nexus.Spec) string {
	if s.Checkpoint == nil || onClaim(s, checkpointPath(s)) != nil {
		return ""
	}
	again := ""
	for _, cause := range s.Restart.On {
		if cause == nexus.CauseNode || cause == nexus.CausePreempt {
			again = "a restart after a lost node or a preemption begins from the beginning"
		}
	}
	if s.Nodes.Max > 1 {
		again = "its nodes do not see one another's files"
	}
	if again == "" {
		return ""
	}
	return "checkpoint.path " + s.Checkpoint.Path + " is on no volume that is shared: " + again + "; put it on one: volumes: [{pvc: NAME, path: /ckpt}], checkpoint: {path: /ckpt}"
}

// setDurability has a condition say so.
func setDurability(o *v1alpha1.NexusJob, s *nexus.Spec, at time.Time) {
	what := fleeting(s)
	if what == "" {
		meta.RemoveStatusCondition(&o.Status.Conditions, ConditionNotDurable)
		return
	}
	meta.SetStatusCondition(&o.Status.Conditions, metav1.Condition{Type: ConditionNotDurable, Status: metav1.ConditionTrue, Reason: "NoSharedVolume",
		Message: what, ObservedGeneration: o.Generation, LastTransitionTime: metav1.NewTime(at)})
}

// checkpointPath is where the checkpoints are, in the pod.
func checkpointPath(s *nexus.Spec) string {
	p := s.Checkpoint.Path
	if !path.IsAbs(p) {
		p = path.Join("/", s.Workdir, p)
	}
	return path.Clean(p)
}

// onClaim is the claim that a path is on; nil where it is on none.
func onClaim(s *nexus.Spec, file string) *nexus.Volume {
	var found *nexus.Volume
	for i := range s.Volumes {
		v := &s.Volumes[i]
		inside := path.Clean(v.Path) == file || strings.HasPrefix(file, strings.TrimSuffix(path.Clean(v.Path), "/")+"/")
		if inside && v.PVC != "" && !v.ReadOnly && (found == nil || len(v.Path) > len(found.Path)) {
			found = v
		}
	}
	return found
}
