package v1alpha1_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// A spec is the job file field for field, and the queue document. What is called otherwise here is missing there.
func TestFieldsAreThoseOfTheDocuments(t *testing.T) {
	for _, c := range []struct {
		ours, theirs reflect.Type
		extra        []string // only ours
		name         bool     // theirs has a name
	}{
		{reflect.TypeFor[v1alpha1.JobSpec](), reflect.TypeFor[nexus.Spec](), []string{"time_limit"}, true},
		{reflect.TypeFor[v1alpha1.Resources](), reflect.TypeFor[nexus.Resources](), nil, false},
		{reflect.TypeFor[v1alpha1.Topology](), reflect.TypeFor[nexus.Topology](), nil, false},
		{reflect.TypeFor[v1alpha1.After](), reflect.TypeFor[nexus.After](), nil, false},
		{reflect.TypeFor[v1alpha1.Volume](), reflect.TypeFor[nexus.Volume](), nil, false},
		{reflect.TypeFor[v1alpha1.Checkpoint](), reflect.TypeFor[nexus.CheckpointSpec](), nil, false},
		{reflect.TypeFor[v1alpha1.Restart](), reflect.TypeFor[nexus.Restart](), nil, false},
		{reflect.TypeFor[v1alpha1.QueueSpec](), reflect.TypeFor[nexus.Queue](), nil, true},
		{reflect.TypeFor[v1alpha1.Quota](), reflect.TypeFor[nexus.Quota](), nil, false},
		{reflect.TypeFor[v1alpha1.PerUser](), reflect.TypeFor[nexus.PerUser](), nil, false},
	} {
		ours, theirs := names(c.ours), names(c.theirs)
		if c.name {
			theirs = slices.DeleteFunc(theirs, func(n string) bool { return n == "name" })
		}
		ours = slices.DeleteFunc(ours, func(n string) bool { return slices.Contains(c.extra, n) })
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s has %v\n%s has %v", c.ours, ours, c.theirs, theirs)
		}
	}
}

func names(of reflect.Type) []string {
	var list []string
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// What was written in whatever way is read by the job file's own reader as it was written.
func TestSpecsAreReadAsTheyWereWritten(t *testing.T) {
	job := &v1alpha1.NexusJob{}
	job.Name = "gpt2"
	job.Spec.Nodes = raw(`"2..4"`)
	job.Spec.Resources = v1alpha1.Resources{GPUs: raw(`8`), GPUMemory: raw(`42949672960`), CPU: raw(`0.5`), Memory: raw(`"64GiB"`)}
	job.Spec.Env = map[string]v1alpha1.Any{"A": raw(`"x"`), "B": raw(`{"from":"secret:s/k"}`)}
	job.Spec.Run = raw(`["python","train.py"]`)
	job.Spec.Restart = v1alpha1.Restart{Max: 3, On: []string{"oom", "node"}, Grow: raw(`1.5`)}
	document, err := job.Document()
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := jobfile.Parse(document, jobfile.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	if spec.Name != "gpt2" || spec.Nodes != (nexus.Range{Min: 2, Max: 4}) || spec.Resources.GPUMemory != 40<<10 || spec.Resources.CPU != 500 ||
		spec.Resources.Memory != 64<<10 || spec.Env["B"].From != "secret:s/k" || len(spec.Run.Argv) != 2 || spec.Restart.Grow != 1500 {
		t.Errorf("it is read as %+v", spec)
	}
}

func TestQueuesAreReadAsTheyWereWritten(t *testing.T) {
	eight := 8
	q := &v1alpha1.NexusQueue{Spec: v1alpha1.QueueSpec{Parent: "lab", Weight: 3, Quota: []v1alpha1.Quota{{GPUModel: "H100", GPUs: &eight, GPUMemory: raw(`"80Gi"`)}},
		MaxDurationDefault: raw(`"1d"`), PricePerGPUHour: raw(`2.50`)}}
	q.Name = "research"
	document, err := q.Document()
	if err != nil {
		t.Fatal(err)
	}
	queues, _, err := jobfile.ParseQueues(document, "")
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	got := queues[0]
	if got.Name != "research" || got.Parent != "lab" || got.Weight != 3 || *got.Quota[0].GPUs != 8 || *got.Quota[0].GPUMemory != 80<<10 || got.PricePerGPUHour != 2500 {
		t.Errorf("it is read as %+v", got)
	}
}

func raw(text string) v1alpha1.Any { return v1alpha1.Any{Raw: []byte(text)} }
