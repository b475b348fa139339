package kube

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// An attempt whose pods the cluster has not begun to make is not given up, however long that takes: all that stand in its Job controller's
// queue would only stand there once more. One whose pods somebody refuses is.
func TestWhoWaitsForItsPodsIsNotGivenUp(t *testing.T) {
	now := time.Now()
	begun := func(ago time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-ago)} }
	for _, test := range []struct {
		name   string
		waited time.Duration // since it was admitted
		begun  *metav1.Time
		pods   []time.Duration // when they were made, ago
		waits  bool
	}{
		{"the Job controller is behind", 9 * time.Minute, nil, nil, true},
		{"it has just begun", 9 * time.Minute, begun(time.Second), nil, true},
		{"it makes one after the other", time.Hour, begun(20 * time.Minute), []time.Duration{20 * time.Minute, time.Minute}, true},
		{"something is in the way", 3 * time.Minute, begun(150 * time.Second), nil, false},
		{"something came in the way", time.Hour, begun(20 * time.Minute), []time.Duration{19 * time.Minute}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := standing{record: record{object: &v1alpha1.NexusJob{}, job: nexus.Job{Phase: nexus.Starting, Started: now.Add(-test.waited)}}, batch: &batchv1.Job{}}
			s.batch.Status.StartTime = test.begun
			for _, ago := range test.pods {
				s.pods = append(s.pods, &pod{made: now.Add(-ago)})
			}
			if test.begun == nil {
				p := &Place{born: now, opts: Options{}.withDefaults()}
				if again, err := p.notTakenUp(t.Context(), s); again <= 0 || err != nil { // it writes nothing, for which there is no server here
					t.Errorf("again after %v, %v", again, err)
				}
				return
			}
			if left := s.toBeMade(now); (left > 0) != test.waits {
				t.Errorf("%v are left", left)
			}
		})
	}
}
