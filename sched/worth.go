package sched

import (
	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
	"ainexus.io/sched/policy"
)

// worth asks the policy's scorer about nodes. The zero value has none: then the taste of the types alone decides.
type worth struct {
	scorer policy.Scorer
	models models
	suits  map[suit]bool
	asked  suit // last
	suited bool // what it was

	spec    *nexus.Spec // whose request it was last
	request policy.Request
	site    policy.Site
	score   int64 // of the share that was picked last
}

// suit is a model and those that are wanted.
type suit struct{ have, wanted string }

// suit is [isModel], remembered.
func (w *worth) suit(d *nexus.GPU, wanted []string) bool {
	switch {
	case len(wanted) == 0:
		return true
	case len(wanted) > 1:
		return isModel(d, wanted)
	}
	key := suit{d.Model, wanted[0]}
	if key == w.asked && key.wanted != "" { // the devices of a node are mostly alike
		return w.suited
	}
	ok, known := w.suits[key]
	if !known {
		if ok = isModel(d, wanted); w.suits != nil {
			w.suits[key] = ok
		}
	}
	w.asked, w.suited = key, ok
	return ok
}

// scores reports whether nodes are ranked by the scorer for such jobs. Inference spreads instead: what matters to it is
// who else is there.
func (w *worth) scores(s *nexus.Spec) bool { return w.scorer != nil && s.Type != nexus.Inference }

// scoreOf is how much better the node is than others for the job, and on which device for a share.
func (w *worth) scoreOf(r *ledger.Room, s *nexus.Spec) (score int64, device int) {
	if w.spec != s {
		w.spec, w.request = s, w.models.request(policy.WantedBy(s))
	}
	n := r.Node
	w.site = policy.Site{
		Name: n.Name, CPU: r.CPU, CPUTotal: n.CPU, Memory: r.Memory, MemoryTotal: n.Memory, GPUs: w.site.GPUs[:0],
	}
	for i := range r.GPUs {
		d := policy.Device{Free: r.GPUs[i].Share, Total: n.GPUs[i].Usable()}
		switch {
		case n.GPUs[i].Problem != "":
			d = policy.Device{}
		case r.GPUs[i].Whole:
			d.Free = d.Total
		}
		w.site.GPUs = append(w.site.GPUs, d)
	}
	if len(n.GPUs) > 0 {
		w.site.Model = w.models.of[n.GPUs[0].Model]
	}
	return w.scorer.Score(&w.site, &w.request)
}
