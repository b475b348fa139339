package sched

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// learn takes in another history: what jobs are expected to run, and to ask for.
func (p *Planner) learn(h *nexus.History) {
	learns := p.policy.Mix == nil && policy.Adapts(p.policy.Place)
	if learns && (p.history == nil || p.history.Mix.Told != h.Mix.Told || !slices.Equal(p.history.Mix.Kept, h.Mix.Kept)) {
		p.index.forgetScores()
	}
	patience := p.outlook.Patience
	p.history, p.outlook = h, policy.Look(h)
	p.outlook.Patience = patience
	p.backlog = 0
	for _, e := range p.jobs {
		if e.job.Phase == nexus.Pending {
			e.work = p.outlook.Work(&e.job)
			p.backlog += e.work
		}
	}
	p.rekey()
}

// rekey gives everybody in line his place anew.
func (p *Planner) rekey() {
	for _, e := range p.jobs {
		if e.job.Phase == nexus.Pending {
			e.key = p.keyOf(&e.job)
		}
	}
	p.line.stir()
}

// settle makes patience suit the line.
func (p *Planner) settle() {
	if p.policy.Rank != policy.ByDue || !p.outlook.Taught() {
		return
	}
	all, _ := p.countGPUs()
	if suits := policy.PatienceFor(p.backlog, all); suits != p.outlook.Patience {
		p.outlook.Patience = suits
		p.rekey()
	}
}

// keyOf is a job's place in line within its priority. It does not depend on the clock.
func (p *Planner) keyOf(j *nexus.Job) time.Duration {
	return p.policy.Rank.Key(j, p.outlook, p.at, p.whole(j))
}

// whole is how long a job will run in total, where the policy is an oracle.
func (p *Planner) whole(j *nexus.Job) time.Duration {
	if p.policy.Whole == nil {
		return 0
	}
	return p.policy.Whole(j.ID)
}

// mix is what jobs are expected to ask for.
func (p *Planner) mix() []nexus.Wanted {
	switch {
	case p.policy.Mix != nil:
		return p.policy.Mix
	case p.history != nil:
		return p.history.Mix.Kept
	}
	return nil
}

// scorer is the policy's, for what is expected on this fleet.
func (p *Planner) scorer(m models, supply []policy.Supply) policy.Scorer {
	wanted := p.mix()
	mix := make([]policy.Demand, len(wanted))
	for i, w := range wanted {
		mix[i] = policy.Demand{Request: m.request(w), Count: w.Count}
	}
	s, err := policy.NewScorer(p.policy.Place, p.policy.Seed, mix, supply)
	if err != nil {
		panic(err) // policies are made by name, in one place
	}
	return s
}

// models gives numbers to the models of GPUs: 1 to 63, of which the last stands for all that are too many.
type models struct {
	names []string
	of    map[string]int
}

const mostModels = 63

func newModels(nodes []string, node func(string) *nexus.Node) models {
	m := models{of: map[string]int{}}
	for _, name := range nodes {
		for i := range node(name).GPUs {
			if model := node(name).GPUs[i].Model; !slices.Contains(m.names, model) {
				m.names = append(m.names, model)
			}
		}
	}
	slices.Sort(m.names)
	for i, name := range m.names {
		m.of[name] = min(i+1, mostModels)
	}
	return m
}

// mask has the bit of each model that is one of those wanted; 0 where any will do.
func (m models) mask(wanted []string) (mask uint64) {
	if len(wanted) == 0 {
		return 0
	}
	for _, name := range m.names {
		if isModel(&nexus.GPU{Model: name}, wanted) {
			mask |= 1 << m.of[name]
		}
	}
	if mask == 0 {
		return 1 << 0 // none of the fleet's: no node has model 0 and GPUs
	}
	return mask
}

// request is what a scorer sees of what is wanted.
func (m models) request(w nexus.Wanted) policy.Request {
	r := policy.Request{CPU: w.CPU, Memory: w.Memory, GPUs: w.GPUs, Share: w.Share}
	if w.Models != "" {
		r.Models = m.mask(strings.Split(w.Models, "|"))
	}
	return r
}

// supply counts the nodes by what they have.
func (m models) supply(nodes []string, node func(string) *nexus.Node) []policy.Supply {
	var list []policy.Supply
	for _, name := range nodes {
		n := node(name)
		s := policy.Supply{CPU: n.CPU, Memory: n.Memory, GPUs: len(n.GPUs)}
		if len(n.GPUs) > 0 {
			s.Model, s.Device = m.of[n.GPUs[0].Model], n.GPUs[0].Usable()
		}
		i := slices.IndexFunc(list, func(o policy.Supply) bool { o.Count = 0; return o == s })
		if i < 0 {
			i, list = len(list), append(list, s)
		}
		list[i].Count++
	}
	slices.SortFunc(list, compareSupplies)
	return list
}

func compareSupplies(a, b policy.Supply) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.GPUs, b.GPUs), cmp.Compare(a.Device, b.Device),
		cmp.Compare(a.CPU, b.CPU), cmp.Compare(a.Memory, b.Memory))
}
