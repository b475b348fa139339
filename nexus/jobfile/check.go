package jobfile

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// The most that one node is ever asked for; the place knows what it really has.
const (
	maxPerNode  = 4096
	maxNodes    = 16384
	maxRestarts = 1000
	maxLabel    = 63
)

// refuse blames a field of the Spec, unless it was blamed before or rests on one that was.
func (d *document) refuse(bad bool, field, text, hint string, rests ...string) {
	if bad && d.judged(append(rests, field)...) {
		d.wrong(d.at(field), field, text, hint)
	}
}

// check judges what the fields say, alone and together.
func (d *document) check(s *nexus.Spec) {
	d.checkNames(s)
	d.checkSize(s)
	d.checkCommands(s)
	d.checkEnv(s)
	d.checkVolumes(s)
	d.checkOrder(s)
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		field := join("labels", name)
		d.refuse(!isLabel(name), field, "is no name for a label", `use letters, digits, - _ and . inside, as in "team" or "example.com/team"`)
		d.refuse(s.Labels[name] != "" && !isLabelWord(s.Labels[name]), field,
			fmt.Sprintf("%s is no value for a label", quote(s.Labels[name])), fmt.Sprintf("use letters, digits, - _ and . inside, at most %d", maxLabel))
	}
	if c := s.Checkpoint; c != nil {
		d.refuse(c.Path == "", "checkpoint.path", "is missing", "say where checkpoints are saved, as in checkpoint: {path: ckpt}")
		d.refuse(!isPrintable(c.Path), "checkpoint.path", quote(c.Path)+" has characters that cannot be printed", "")
	}
	d.refuse(s.Restart.Max < 0 || s.Restart.Max > maxRestarts, "restart.max", fmt.Sprintf("%d is not from 0 to %d", s.Restart.Max, maxRestarts), "")
	for i, cause := range s.Restart.On {
		d.refuse(slices.Contains(s.Restart.On[:i], cause), fmt.Sprintf("restart.on[%d]", i), string(cause)+" is there twice", "")
	}
	grows := s.Restart.Grow > 0
	d.refuse(grows && !slices.Contains(s.Restart.On, nexus.CauseOOM), "restart.grow", "wants restart.on to have oom", "on: [exit, hang, oom, node, preempt]", "restart.on")
	d.refuse(grows && s.Restart.Max == 0, "restart.grow", "has no effect: restart.max is 0", "say how often it is tried again: restart: {max: 3, ...}", "restart.max")
	d.refuse(d.given["max_duration"] != nil && s.MaxDuration <= 0, "max_duration", "is 0, which no job can keep", "leave it out for no limit")
}

// checkNames judges what becomes part of paths and lines of output.
func (d *document) checkNames(s *nexus.Spec) {
	const rule = "use a-z, 0-9, and - _ . inside, at most 63 characters"
	field := "name"
	if d.given["metadata.name"] != nil {
		field = "metadata.name"
	}
	for _, named := range []struct{ field, name string }{{field, s.Name}, {"queue", s.Queue}} {
		hint := rule
		if like := toName(named.name); like != defaultName {
			hint += "; " + meant(like)
		}
		d.refuse(!isName(named.name), named.field, quote(named.name)+" is no name", hint)
	}
	for i, model := range s.Resources.GPUModel {
		bad := strings.TrimSpace(model) == "" || len(model) > maxScalar || !isPrintable(model)
		d.refuse(bad, fmt.Sprintf("resources.gpu_model[%d]", i), quote(model)+" is no model of a GPU", "name a model such as H100")
	}
	d.refuse(!isPrintable(s.Image), "image", quote(s.Image)+" has characters that cannot be printed", "")
	d.refuse(s.Code != "" && s.Code != "upload", "code", quote(s.Code)+" is not upload", "leave it out, or write code: upload")
}

// checkSize judges how much the job asks for.
func (d *document) checkSize(s *nexus.Spec) {
	r := s.Resources
	d.refuse(s.Nodes.Max > maxNodes, "nodes", fmt.Sprintf("%s is more than %d nodes", s.Nodes, maxNodes), "")
	d.refuse(r.GPUs.N > maxPerNode, "resources.gpus", fmt.Sprintf("%d is more than the %d GPUs that a node may have", r.GPUs.N, maxPerNode), "")
	d.refuse(d.given["workers"] != nil && (s.Workers < 1 || s.Workers > maxPerNode), "workers", fmt.Sprintf("%d is not from 1 to %d", s.Workers, maxPerNode), "")
	d.refuse(r.CPU > maxPerNode*1000*16, "resources.cpu", r.CPU.String()+" is more than any node has", "cpu counts logical cpus: 4, 0.5 or 500m")
	switch {
	case r.Share():
		d.refuse(s.Workers > 1, "workers", fmt.Sprintf("%d workers cannot have a share of one GPU", s.Workers),
			"write workers: 1, or ask for whole GPUs by resources.gpus", "resources.gpus", "resources.gpu_memory")
	case r.GPUs.N > 0 && s.Workers > 0:
		d.refuse(r.GPUs.N%s.Workers != 0, "workers", fmt.Sprintf("%d workers cannot have the same number of %d GPUs each", s.Workers, r.GPUs.N),
			"make resources.gpus a multiple of workers", "resources.gpus")
	}
	for _, amount := range []struct {
		field string
		MiB   nexus.MiB
	}{{"resources.gpu_memory", r.GPUMemory}, {"resources.memory", r.Memory}, {"resources.shm", r.Shm}} {
		d.refuse(d.given[amount.field] != nil && amount.MiB == 0, amount.field, "is 0", "leave it out where nothing is asked for")
	}
	d.checkPlace(s)
	for i, index := range s.PreferGPUs {
		field := fmt.Sprintf("prefer_gpus[%d]", i)
		d.refuse(index < 0 || index >= maxPerNode, field, fmt.Sprintf("%d is not the index of a GPU", index), "indices count from 0")
		d.refuse(slices.Contains(s.PreferGPUs[:i], index), field, fmt.Sprintf("%d is there twice", index), "")
	}
}

// checkPlace judges how near together it all is to be, and slices of GPUs.
func (d *document) checkPlace(s *nexus.Spec) {
	t, r := s.Topology, s.Resources
	d.refuse(t.Require != "" && t.Prefer != "", "topology", "wants one of require and prefer", "topology: {require: rack}")
	near := t.Require == nexus.LevelIsland || t.Require == nexus.LevelNode
	d.refuse(near && s.Nodes.Min > 1, "topology.require", fmt.Sprintf("%d nodes are not in one %s: nodes are distinct machines", s.Nodes.Min, t.Require),
		"require rack or block, or set nodes: 1", "nodes")
	d.refuse(t.Require == nexus.LevelIsland && r.GPUs.Auto, "topology.require", "gpus: auto takes what is free, in whatever island",
		"say how many by resources.gpus, or prefer the island", "resources.gpus")
	d.refuse(r.MIG != "" && !isProfile(r.MIG), "resources.mig", quote(r.MIG)+" is no profile of a MIG slice", "as nvidia-smi mig -lgip writes it: 1g.10gb")
	d.refuse(r.MIG != "" && (r.GPUs.Auto || r.GPUs.N == 0), "resources.mig", "wants a number of slices", "resources.gpus says how many; without it there is one", "resources.gpus")
}

// isProfile reports whether text names a MIG profile: "1g.10gb", "1g.5gb+me", "1c.2g.10gb".
func isProfile(text string) bool {
	if text == "" || len(text) > maxScalar || !strings.Contains(text, "g.") || text[0] < '1' || text[0] > '9' {
		return false
	}
	return isWord(text, maxScalar, true, ".+", ".+") && strings.Contains(text, "gb")
}

// checkCommands judges what runs, and where.
func (d *document) checkCommands(s *nexus.Spec) {
	empty := strings.TrimSpace(s.Run.Shell) == "" && len(s.Run.Argv) == 0
	if d.given["run"] == nil {
		d.refuse(true, "run", "is missing", smallest)
	} else {
		d.refuse(empty, "run", "is empty", smallest)
	}
	const hint = "control characters can be made by the program itself, as by printf"
	for _, command := range []struct {
		field string
		nexus.Command
	}{{"setup", s.Setup}, {"run", s.Run}} {
		field, c := command.field, command.Command
		d.refuse(!isScript(c.Shell), field, "has characters that cannot be printed", hint)
		for i, arg := range c.Argv {
			at := fmt.Sprintf("%s[%d]", field, i)
			d.refuse(i == 0 && strings.TrimSpace(arg) == "", at, "the program has no name", "")
			d.refuse(!isScript(arg), at, "has characters that cannot be printed", hint)
		}
	}
	d.refuse(s.Workdir == "", "workdir", "is empty", "leave it out for the directory of the submit")
	d.refuse(!isPrintable(s.Workdir), "workdir", quote(s.Workdir)+" has characters that cannot be printed", "")
}

// checkEnv judges names and references; it never shows a value.
func (d *document) checkEnv(s *nexus.Spec) {
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		field := join("env", name)
		hint, taken := reserved(name)
		d.refuse(!isEnvName(name), field, "is no name for a variable", "use letters, digits and _, beginning with no digit")
		d.refuse(taken, field, "is set for each worker and cannot be chosen", hint)
		d.refuse(strings.ContainsRune(s.Env[name].Value, 0), field, "holds a NUL character, which no variable can", "")
	}
}

// maxAfter is how many jobs one may wait for; an array counts as one.
const maxAfter = 256

// checkOrder judges what the job waits for, and its array.
func (d *document) checkOrder(s *nexus.Spec) {
	d.refuse(len(s.After) > maxAfter, "after", fmt.Sprintf("has %d jobs, more than %d", len(s.After), maxAfter), "an array counts as one job")
	for i, a := range s.After[:min(len(s.After), maxAfter)] {
		at := fmt.Sprintf("after[%d]", i)
		d.refuse(a.Job == "", at+".job", "is missing", "say which job by its name or id, as in after: [{job: tokenize}]")
		d.refuse(a.Job != "" && !isName(a.Job), at+".job", quote(a.Job)+" is no name or id of a job", "")
		twice := slices.ContainsFunc(s.After[:i], func(b nexus.After) bool { return a.Job == b.Job })
		d.refuse(twice, at+".job", quote(a.Job)+" is there twice", "")
	}
	if !s.Array.IsZero() && d.judged("array") {
		all := s.Array.Indices()
		longest := fmt.Sprintf("%s-%d", s.Name, all[len(all)-1])
		d.refuse(len(longest) > maxName, "name", fmt.Sprintf("%s is too long for the members of an array: %s has %d characters",
			quote(s.Name), longest, len(longest)), fmt.Sprintf("the name with an index has at most %d", maxName))
	}
}

// checkVolumes judges the mounts of pods, so that the same file is right everywhere.
func (d *document) checkVolumes(s *nexus.Spec) {
	for i, v := range s.Volumes {
		at := fmt.Sprintf("volumes[%d]", i)
		d.refuse((v.PVC == "") == (v.Name == ""), at, "wants one of pvc and name", "name the claim: pvc: NAME, or a directory: name: NAME", at+".pvc", at+".name")
		d.refuse(v.PVC != "" && !isName(v.PVC), at+".pvc", quote(v.PVC)+" is no name", "")
		d.refuse(v.Name != "" && !isPrintable(v.Name), at+".name", quote(v.Name)+" has characters that cannot be printed", "")
		d.refuse(!path.IsAbs(v.Path) || !isPrintable(v.Path), at+".path", quote(v.Path)+" is not an absolute path", "say where it is mounted: path: /data")
	}
}

// notices tell of what has no effect on this machine.
func notices(s *nexus.Spec) []Notice {
	var list []Notice
	note := func(said bool, field, text string) {
		if said {
			list = append(list, Notice{field, field + " " + text})
		}
	}
	const nothing = "has no effect on this machine"
	noGPU := s.Resources.GPUs == nexus.GPUCount{} && !s.Resources.Share()
	note(s.Resources.Shm > 0, "resources.shm", nothing)
	note(len(s.Resources.GPUModel) > 0 && noGPU, "resources.gpu_model", "has no effect: the job asks for no GPU")
	note(s.Resources.Enforce != "" && !s.Resources.Share(), "resources.enforce", "has no effect: the job asks for no share of a GPU")
	note(s.Topology.Require == nexus.LevelIsland && noGPU, "topology", "has no effect: the job asks for no GPU")
	note(len(s.PreferGPUs) > 0 && noGPU, "prefer_gpus", "has no effect: the job asks for no GPU")
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		note(strings.HasPrefix(s.Env[name].From, "secret:"), join("env", name), "refers to a secret of Kubernetes, which this machine does not have")
	}
	note(len(s.Volumes) > 0, "volumes", "have no effect on this machine")
	note(s.Image != "", "image", nothing)
	note(s.Code != "", "code", nothing)
	return list
}
