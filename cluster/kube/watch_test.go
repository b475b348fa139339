package kube

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is stripped from what watches tell is not what is planned by: a foreign Job keeps its record and its pods, a node
// what its agent said of its GPUs.
func TestStripKeepsWhatIsPlannedBy(t *testing.T) {
	yes := true
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{LabelQueue: "q"}, Annotations: map[string]string{AnnotationState: "{}"}}, Spec: batchv1.JobSpec{Suspend: &yes}}
	if _, err := strip(j); err != nil || j.Annotations[AnnotationState] != "{}" || !suspended(j) {
		t.Errorf("of a foreign Job is left %+v, %v", j, err)
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{AnnotationGPUs: "[]", "other": "x"}}}
	if _, err := strip(n); err != nil || n.Annotations[AnnotationGPUs] != "[]" || len(n.Annotations) != 1 {
		t.Errorf("of a node is left %+v, %v", n, err)
	}
}
