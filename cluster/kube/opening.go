package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"ainexus.io/cluster/kube/v1alpha1"
)

// The range of ports that NCCL and gloo take theirs from, by the pods' net.ipv4.ip_local_port_range.
const (
	portLow  = 29501
	portHigh = 30524
)

// policyFor lets the pods of a job speak to one another, over all its attempts, and to nobody else: no policy of a chart
// can say "of the same job".
func policyFor(o *v1alpha1.NexusJob) *networkingv1.NetworkPolicy {
	tcp, high := corev1.ProtocolTCP, int32(portHigh)
	port := func(n int) networkingv1.NetworkPolicyPort {
		number := intstr.FromInt(n)
		return networkingv1.NetworkPolicyPort{Protocol: &tcp, Port: &number}
	}
	ports := []networkingv1.NetworkPolicyPort{port(portRendezvous), port(masterPort(o)), port(portLow)}
	ports[2].EndPort = &high
	own := metav1.LabelSelector{MatchLabels: map[string]string{LabelJob: string(o.UID)}}
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &own}}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: serviceName(o.Name), OwnerReferences: ownerOf(o),
			Labels: map[string]string{LabelJob: string(o.UID), LabelName: o.Name}},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: own, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: ports}},
			Egress:  []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: ports}},
		},
	}
}

// opens makes the way between the pods of a job, where it is on several nodes of a namespace in which pods are kept from one
// another. Elsewhere a policy would shut its pods off from all else.
func (p *Place) opens(ctx context.Context, s standing) error {
	if len(s.job.Placement.Seats) > 1 && slices.Contains(p.opts.Policed, s.object.Namespace) {
		policy := policyFor(s.object)
		err := createOnce(ctx, p.clients.networking, resourcePolicies, policy, &networkingv1.NetworkPolicy{})
		if notMade(err) {
			p.view.opens(string(s.object.UID)) // and will not be by trying again
		}
		if err != nil {
			return fmt.Errorf("creating NetworkPolicy %s: %w", policy.Name, err)
		}
	}
	p.view.opens(string(s.object.UID))
	return nil
}

// opens says that the way between the pods of a job is made, or cannot be.
func (v *view) opens(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.jobs[id]; r != nil {
		r.opened = true
	}
}
