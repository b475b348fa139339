package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Of several controllers one acts: who holds the Lease. It is renewed every seventh of its duration; who could not renew
// it for two thirds writes nothing more and gives up, and others wait for all of it, by their own clocks, since they saw it
// change. So clocks need not agree, only go equally fast. What is under way when a lease ends is bounded by its end (gate.go),
// and what arrives later all the same meets a resource version that is not the newest, or a name that is taken.
//
// client-go's leaderelection would do the same, and link every group that Kubernetes has.

// leaseName is the Lease that controllers of a namespace, or of all, hold in turn.
const leaseName = "nexus-controller"

// lease is our part in it.
type lease struct {
	client          rest.Interface
	namespace       string
	identity        string
	duration, retry time.Duration

	// What was seen last, and when it was seen to change.
	seen   coordinationv1.LeaseSpec
	seenAt time.Time

	mu      sync.Mutex
	renewed time.Time // when the last renewal that succeeded was begun; zero: it is not ours
}

// newLease names this controller, as no other is named.
func newLease(client rest.Interface, namespace string, duration time.Duration) *lease {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &lease{client: client, namespace: namespace, identity: host + "_" + strings.ToLower(rand.Text()[:10]), duration: duration, retry: duration / 7}
}

// end is until when we may act; zero: not at all.
func (l *lease) end() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() || time.Since(l.renewed) > l.duration*2/3 {
		return time.Time{}
	}
	return l.renewed.Add(l.duration)
}

func (l *lease) setRenewed(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = at
}

// acquire waits until the lease is ours. Say is told of each trouble once.
func (l *lease) acquire(ctx context.Context, say func(string)) error {
	last := ""
	for {
		began := time.Now()
		ours, err := l.try(ctx)
		switch {
		case ours:
			l.setRenewed(began)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && err.Error() != last:
			last = err.Error()
			say(last)
		}
		if !l.rest(ctx) {
			return ctx.Err()
		}
	}
}

// keep renews the lease until it is lost, which is an error, or ctx ends.
func (l *lease) keep(ctx context.Context) error {
	for l.rest(ctx) {
		began := time.Now()
		ours, err := l.try(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case ours:
			l.setRenewed(began)
		case err == nil:
			l.setRenewed(time.Time{})
			return fmt.Errorf("the Lease %s/%s is %s's now", l.namespace, leaseName, l.holder())
		case l.end().IsZero():
			return fmt.Errorf("the Lease %s/%s could not be renewed in time: %w", l.namespace, leaseName, err)
		}
	}
	return nil
}

// release lets go of the lease, so that nobody has to wait for its end.
func (l *lease) release(ctx context.Context) error {
	if l.end().IsZero() {
		return nil
	}
	l.setRenewed(time.Time{})
	now, err := l.get(ctx)
	if err != nil {
		return err
	}
	if now.Spec.HolderIdentity == nil || *now.Spec.HolderIdentity != l.identity {
		return nil
	}
	nobody, second := "", int32(1)
	now.Spec.HolderIdentity, now.Spec.LeaseDurationSeconds = &nobody, &second
	return l.put(ctx, now)
}

// try takes or renews the lease where that may be done, and reports whether it is ours. False without an error: it is somebody
// else's.
func (l *lease) try(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, l.duration/3)
	defer cancel()
	now, err := l.get(ctx)
	if apierrors.IsNotFound(err) {
		fresh := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: leaseName}}
		l.sign(&fresh.Spec, true)
		err = l.client.Post().Namespace(l.namespace).Resource(resourceLeases).Body(fresh).Do(ctx).Error()
		return err == nil, err
	}
	if err != nil {
		return false, fmt.Errorf("reading the Lease %s/%s: %w", l.namespace, leaseName, err)
	}
	if !sameHold(now.Spec, l.seen) {
		l.seen, l.seenAt = now.Spec, time.Now()
	}
	holder := l.holder()
	if holder != "" && holder != l.identity && time.Since(l.seenAt) < l.patience() {
		return false, nil
	}
	l.sign(&now.Spec, holder != l.identity)
	err = l.put(ctx, now)
	if apierrors.IsConflict(err) {
		return false, errors.New("somebody else was faster") // the next look says who
	}
	return err == nil, err
}

// patience is how long a lease that does not change is its holder's.
func (l *lease) patience() time.Duration {
	d := l.duration
	if s := l.seen.LeaseDurationSeconds; s != nil {
		d = max(d, time.Duration(*s)*time.Second)
	}
	return d
}

func (l *lease) holder() string {
	if l.seen.HolderIdentity == nil {
		return ""
	}
	return *l.seen.HolderIdentity
}

// sign makes the lease ours from now on; taken says that it was not.
func (l *lease) sign(s *coordinationv1.LeaseSpec, taken bool) {
	at, seconds := metav1.NowMicro(), int32((l.duration+time.Second-1)/time.Second)
	identity, transitions := l.identity, int32(0)
	if s.LeaseTransitions != nil {
		transitions = *s.LeaseTransitions
	}
	if taken {
		s.AcquireTime = &at
		transitions++
	}
	s.HolderIdentity, s.LeaseDurationSeconds, s.RenewTime, s.LeaseTransitions = &identity, &seconds, &at, &transitions
}

func (l *lease) get(ctx context.Context) (*coordinationv1.Lease, error) {
	got := &coordinationv1.Lease{}
	err := l.client.Get().Namespace(l.namespace).Resource(resourceLeases).Name(leaseName).Do(ctx).Into(got)
	return got, err
}

func (l *lease) put(ctx context.Context, o *coordinationv1.Lease) error {
	return l.client.Put().Namespace(o.Namespace).Resource(resourceLeases).Name(o.Name).Body(o).Do(ctx).Error()
}

// rest waits until the lease is looked at again, and reports whether ctx goes on.
func (l *lease) rest(ctx context.Context) bool {
	timer := time.NewTimer(l.retry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sameHold reports whether nobody has renewed or taken a lease in between.
func sameHold(a, b coordinationv1.LeaseSpec) bool {
	if a.HolderIdentity == nil || b.HolderIdentity == nil || *a.HolderIdentity != *b.HolderIdentity {
		return a.HolderIdentity == nil && b.HolderIdentity == nil
	}
	return a.RenewTime.Equal(b.RenewTime)
}
