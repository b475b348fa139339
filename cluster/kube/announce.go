package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// AnnotationGPUs on a node is what the agent there says of its GPUs, where no GPU feature discovery has labelled them: a
// list of [GPUFact] as JSON.
const AnnotationGPUs = v1alpha1.Group + "/gpus"

// GPUFact is what a node's agent says of one GPU: what it is and whether it is well, not how busy it is, so that it
// rarely changes.
type GPUFact struct {
	UUID    string `json:"uuid"`
	Model   string `json:"model"`
	MiB     int    `json:"mib"` // 0: unknown
	Healthy bool   `json:"healthy"`
	Problem string `json:"problem,omitempty"`
}

// Announcer tells the API server of one node's GPUs.
type Announcer struct {
	clients *clients
	node    string
}

// NewAnnouncer reads how to reach the API server. Nothing is asked of it yet.
func NewAnnouncer(kubeconfig, node string) (*Announcer, error) {
	c, err := config(kubeconfig)
	if err != nil {
		return nil, err
	}
	c.UserAgent = "nexus-agent"
	clients, err := newClients(c, nil)
	if err != nil {
		return nil, err
	}
	return &Announcer{clients: clients, node: node}, nil
}

// Announce makes the node's annotation say this, or takes it away where feature labels say it already or there is
// nothing to say. It writes only where that is news.
func (a *Announcer) Announce(ctx context.Context, facts []GPUFact) error {
	var n corev1.Node
	if err := a.clients.core.Get().Resource(resourceNodes).Name(a.node).Timeout(requestPatience).Do(ctx).Into(&n); err != nil {
		return fmt.Errorf("reading node %s: %w", a.node, err)
	}
	said, had := n.Annotations[AnnotationGPUs]
	var value *string // nil takes it away
	if len(facts) > 0 && !labelled(&n) {
		text, err := json.Marshal(facts)
		if err != nil {
			return fmt.Errorf("writing what the GPUs are: %w", err)
		}
		line := string(text)
		value = &line
	}
	if value == nil && !had || value != nil && had && *value == said {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]*string{AnnotationGPUs: value}}})
	if err != nil {
		return fmt.Errorf("writing what the GPUs are: %w", err)
	}
	err = a.clients.core.Patch(types.MergePatchType).Resource(resourceNodes).Name(a.node).Timeout(requestPatience).Body(patch).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("annotating node %s: %w", a.node, err)
	}
	return nil
}

// labelled says whether GPU feature discovery tells of a node.
func labelled(n *corev1.Node) bool {
	return n.Labels[labelGPUProduct] != "" && n.Labels[labelGPUMemory] != ""
}

// announced is what a node's agent says of its GPUs, as far as it holds for each of them: which of them a pod gets is
// the device plugin's business, which gives out no unwell one: of those, what was not read says nothing. Nor does an
// annotation that cannot be read.
func announced(n *corev1.Node) (model string, memory nexus.MiB) {
	var facts []GPUFact
	if err := json.Unmarshal([]byte(n.Annotations[AnnotationGPUs]), &facts); err != nil || len(facts) == 0 {
		return "", 0
	}
	if well := slices.DeleteFunc(slices.Clone(facts), func(f GPUFact) bool { return !f.Healthy }); len(well) > 0 {
		facts = well
	}
	model, memory = facts[0].Model, nexus.MiB(max(0, facts[0].MiB))
	for _, f := range facts[1:] {
		if f.Model != model {
			model = ""
		}
		memory = min(memory, nexus.MiB(max(0, f.MiB)))
	}
	return model, memory
}
