package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// kinds is how many kinds of job a history remembers; who was not seen for longest is forgotten.
const kinds = 128

const (
	// runMemory is how many runs of a kind are remembered: few, as sweeps of like jobs come and go.
	runMemory = 64
	// waitMemory is how many waits: many, as those of one rush tell nothing about the next.
	waitMemory = 2048
)

// kindsOf names the kinds that a job is of, the narrowest first: jobs of one user with names that differ in
// digits only; jobs of a queue that ask for as many GPUs; all jobs that ask for as many; all jobs.
func kindsOf(j *nexus.Job) []string {
	gpus := strconv.Itoa(GPUs(&j.Spec))
	of := make([]string, 0, 4)
	if stem := stem(j.Spec.Name); stem != "" {
		of = append(of, "job/"+short(j.Spec.Queue)+"/"+short(j.User)+"/"+stem+"/"+gpus)
	}
	return append(of, "queue/"+short(j.Spec.Queue)+"/"+gpus, "gpus/"+gpus, "all")
}

// stem is a name up to its first digit: "resnet-lr3" and "resnet-lr4" are of a kind.
func stem(name string) string {
	if i := strings.IndexAny(name, "0123456789"); i >= 0 {
		name = name[:i]
	}
	return short(name)
}

// short cuts a name, so that a history stays small.
func short(name string) string { return name[:min(len(name), 32)] }

// GPUs is how many GPUs a job asks for at least, on all its nodes together. A share or a job without GPUs counts as 0.
func GPUs(s *nexus.Spec) int { return s.Resources.GPUs.N * max(1, s.Nodes.Min) }

// LearnEnd folds the total run time of a job that is over into a history. Others teach nothing: a job that
// was preempted or is restarted has not shown yet how long it runs.
func LearnEnd(h *nexus.History, j *nexus.Job) {
	if !j.Phase.Over() || j.Started.IsZero() {
		return
	}
	ran := time.Duration(j.Served) + max(0, j.Finished.Sub(j.Started))
	for _, kind := range kindsOf(j) {
		h.Runs = fold(h.Runs, kind, int64(ran/time.Second), runMemory, j.Finished)
	}
	h.Version++
}

// fold adds an observation to the sketch of a kind.
func fold(sketches []nexus.Sketch, kind string, size, memory int64, at time.Time) []nexus.Sketch {
	i, known := find(sketches, kind)
	if !known {
		if len(sketches) >= kinds {
			oldest := 0
			for k := range sketches {
				if sketches[k].Last.Before(sketches[oldest].Last) {
					oldest = k
				}
			}
			sketches = slices.Delete(sketches, oldest, oldest+1)
		}
		i, _ = find(sketches, kind)
		sketches = slices.Insert(sketches, i, nexus.Sketch{Kind: kind})
	}
	observe(&sketches[i], size, memory)
	sketches[i].Last = at
	return sketches
}

func find(sketches []nexus.Sketch, kind string) (int, bool) {
	return slices.BinarySearchFunc(sketches, kind, func(s nexus.Sketch, kind string) int { return cmp.Compare(s.Kind, kind) })
}

// CheckHistory says what is wrong with a history that comes from outside; nil: it is one that may be learnt on.
func CheckHistory(h *nexus.History) error {
	for _, sketches := range [][]nexus.Sketch{h.Runs, h.Waits} {
		if len(sketches) > kinds {
			return fmt.Errorf("%d kinds of jobs are more than %d", len(sketches), kinds)
		}
		for i := range sketches {
			s := &sketches[i]
			if i > 0 && sketches[i-1].Kind >= s.Kind {
				return fmt.Errorf("the kind %q is not in order", s.Kind)
			}
			if s.From < 0 || s.From > buckets || len(s.Counts) > buckets-s.From || wrong(s.Counts...) {
				return fmt.Errorf("the counts of the kind %q are none", s.Kind)
			}
		}
	}
	if len(h.Mix.Kept) > mixSize || wrong(h.Mix.Seen, h.Mix.Told) {
		return fmt.Errorf("the mix of %d requests is none", len(h.Mix.Kept))
	}
	for i := range h.Mix.Kept {
		if k := &h.Mix.Kept[i]; wrong(k.Count, int64(k.GPUs), int64(k.CPU), int64(k.Memory), int64(k.Share)) {
			return fmt.Errorf("a request of the mix is none: %+v", *k)
		}
	}
	if h.Early != clamp(h.Early) || h.Late != clamp(h.Late) {
		return fmt.Errorf("the corrections %d and %d are none", h.Early, h.Late)
	}
	return nil
}

// wrong reports whether any of these is less or more than can have been counted.
func wrong(counts ...int64) bool {
	return slices.ContainsFunc(counts, func(n int64) bool { return n < 0 || n > 1<<48 })
}
