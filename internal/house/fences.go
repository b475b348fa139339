package house

import "strings"

// A fence keeps an outside module in the rooms that need it.
type fence struct {
	modules []string
	rooms   []string
	why     string
}

var fences = []fence{
	{[]string{"k8s.io", "sigs.k8s.io"}, []string{"cluster/kube"}, "Kubernetes stays in cluster/kube, so that the rest builds and starts without it"},
	{[]string{"github.com/prometheus"}, []string{"metrics"}, "Prometheus stays in metrics; tell metrics a number and let it count"},
	{[]string{"github.com/ebitengine/purego"}, []string{"gpu", "train/nccl"}, "foreign libraries are called from gpu and train/nccl only, each with an answer for a missing symbol"},
	{[]string{"modernc.org/sqlite", "github.com/pressly/goose"}, []string{"cluster/local"}, "the records of this machine are kept by cluster/local/store alone"},
	{[]string{"github.com/danielgtaylor/huma"}, []string{"api"}, "the wire is described in api"},
	{[]string{"github.com/spf13", "github.com/vbauerster/mpb", "charm.land"}, []string{"cli"}, "flags and terminals end in cli"},
	{[]string{"C"}, nil, "the product builds without cgo; call a shared library through purego in gpu or train/nccl"},
}

// checkFences wants each outside module to stay in its rooms, in tests too.
func checkFences(t *Tree, p *Package, tell tell) {
	for _, f := range p.Files {
		for _, spec := range f.AST.Imports {
			for _, fence := range fences {
				if under(importPath(spec), fence.modules) && !under(p.Dir, fence.rooms) {
					tell(f.Path, t.line(spec.Pos()), "%s imports %s: %s", p.Dir, importPath(spec), fence.why)
				}
			}
		}
	}
}

// checkTrain keeps the training library light for those who import it: train
// needs the standard library, c10d and itself; c10d, which comes along, needs
// the standard library. Tests may use more.
func checkTrain(t *Tree, p *Package, tell tell) {
	if !within(p.Dir, "train") && !within(p.Dir, "c10d") {
		return
	}
	own, _ := roomOf(p.Dir)
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, spec := range f.AST.Imports {
			imported := importPath(spec)
			dir, inside := t.local(imported)
			switch {
			case inside && (within(dir, own.Path) || own.Path == "train" && within(dir, "c10d")):
			case !inside && isStandard(imported):
			case within(p.Dir, "train/nccl") && within(imported, "github.com/ebitengine/purego"):
			default:
				tell(f.Path, t.line(spec.Pos()), "%s imports %s, but what a training program links needs only the standard library, "+
					"c10d and its own subtree: write the few lines here, or move the code out of %s", p.Dir, imported, own.Path)
			}
		}
	}
}

// isStandard says whether the import path is of the standard library: its
// first element has no dot.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first != "C"
}
