package jobfile

import (
	"path"
	"slices"
	"strings"
	"time"

	"ainexus.io/nexus"
)

const (
	defaultGrace      = nexus.Duration(30 * time.Second)
	defaultNoProgress = nexus.Duration(15 * time.Minute)
	defaultName       = "job"
)

// defaults is a Spec of which nothing is said yet.
func defaults() nexus.Spec {
	return nexus.Spec{
		Type:       nexus.Training,
		Priority:   nexus.Normal,
		Queue:      nexus.DefaultQueue,
		Nodes:      nexus.Range{Min: 1, Max: 1},
		Workdir:    ".",
		Restart:    nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
		NoProgress: defaultNoProgress,
	}
}

// complete fills in the defaults that follow from what was said. With gpus: auto and no workers, the placement
// decides how many there are. A cpu that was not said stays 0: one per worker as far as there are so many, which the
// place knows.
func (d *document) complete(s *nexus.Spec) {
	if s.Resources.MIG != "" && d.given["resources.gpus"] == nil {
		s.Resources.GPUs.N = 1
	}
	if d.given["workers"] == nil && !s.Resources.GPUs.Auto {
		s.Workers = max(1, s.Resources.GPUs.N)
	}
	for i := range s.After {
		if s.After[i].On == "" {
			s.After[i].On = nexus.AwaitSuccess
		}
	}
	if s.Checkpoint != nil && d.given["checkpoint.grace"] == nil {
		s.Checkpoint.Grace = defaultGrace
	}
	switch {
	case d.given["metadata.name"] != nil:
		s.Name = d.title
	case d.given["name"] != nil:
	default:
		s.Name = nameOf(s.Run)
	}
}

// interpreters run a program that the job is better named after.
var interpreters = []string{"sh", "bash", "python", "python3", "torchrun"}

// nameOf makes a name from the program that runs: "train" of "python train.py --lr 1", "job" where there is none.
func nameOf(c nexus.Command) string {
	words := c.Argv
	if len(words) == 0 {
		line, _, _ := strings.Cut(c.Shell, "\n")
		words = strings.Fields(line)
	}
	for len(words) > 0 && (words[0] == "exec" || isAssignment(words[0])) {
		words = words[1:]
	}
	if len(words) == 0 {
		return defaultName
	}
	program := words[0]
	if len(words) > 1 && slices.Contains(interpreters, path.Base(program)) && !strings.HasPrefix(words[1], "-") {
		program = words[1]
	}
	program = path.Base(program)
	for _, ending := range []string{".py", ".sh"} {
		program = strings.TrimSuffix(program, ending)
	}
	return toName(program)
}

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && isEnvName(name)
}
