package jobfile_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

func asJSON(spec nexus.Spec) []byte {
	data, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	return data
}

// flat makes the parts behind pointers comparable by their printed form.
func flat(s nexus.Spec) []any {
	checkpoint := nexus.CheckpointSpec{}
	if s.Checkpoint != nil {
		checkpoint = *s.Checkpoint
	}
	has := s.Checkpoint != nil
	s.Checkpoint = nil
	return []any{s, has, checkpoint}
}

// anyText is text that a job file can hold, the awkward kinds included.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z ./:{}\[\]#&*!|>'"%@=~-]{0,20}`),
		rapid.SampledFrom([]string{"", " ", "yes", "null", "~", "1", "1.10", "0x10", "2024-01-01", "a: b", "a #b", "- x", "...", "---",
			"é", "日本", "a\"b", `a\b`, "'", "<<", "12:30", " x", "x ", "?", "a:", "=", "%", "@a"}),
		rapid.StringOfN(rapid.RuneFrom([]rune("aé😀\u00a0\t\n '\"\\")), 0, 12, -1),
	)
}

func oneLine() *rapid.Generator[string] {
	return rapid.Map(anyText(), func(s string) string {
		return "x" + strings.NewReplacer("\n", "", "\t", "", "\u00a0", "").Replace(s)
	})
}

func script() *rapid.Generator[string] {
	lines := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"", " ", "a", "# b", "  c", "d ", "e: f", "- g", "---", "...", "\th", "'", "\"", "|", "é"}), 1, 6),
		func(lines []string) string { return strings.Join(lines, "\n") })
	return rapid.Map(rapid.OneOf(anyText(), lines), func(s string) string { return "x" + strings.ReplaceAll(s, "\u00a0", "") })
}

func name() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?`)
}

func amount(t *rapid.T, label string) nexus.MiB {
	return nexus.MiB(rapid.Int64Range(0, 1<<33).Draw(t, label))
}

func command(t *rapid.T, label string) nexus.Command {
	if rapid.Bool().Draw(t, label+" is argv") {
		argv := rapid.SliceOfN(script(), 1, 4).Draw(t, label)
		return nexus.Command{Argv: argv}
	}
	return nexus.Command{Shell: script().Draw(t, label)}
}

// anySpec draws a Spec as Parse returns it.
func anySpec(t *rapid.T) nexus.Spec {
	low := rapid.IntRange(1, 100).Draw(t, "min")
	s := nexus.Spec{
		Name:       name().Draw(t, "name"),
		Type:       rapid.SampledFrom(nexus.Types()).Draw(t, "type"),
		Priority:   rapid.SampledFrom([]nexus.Priority{nexus.Low, nexus.Normal, nexus.High, nexus.Critical}).Draw(t, "priority"),
		Queue:      name().Draw(t, "queue"),
		Nodes:      nexus.Range{Min: low, Max: low + rapid.IntRange(0, 3).Draw(t, "more")},
		Workers:    rapid.IntRange(1, 8).Draw(t, "workers"),
		Workdir:    oneLine().Draw(t, "workdir"),
		Run:        command(t, "run"),
		NoProgress: nexus.Duration(rapid.Int64Min(0).Draw(t, "no_progress")),
		Image:      rapid.OneOf(rapid.Just(""), oneLine()).Draw(t, "image"),
		Code:       rapid.SampledFrom([]string{"", "upload"}).Draw(t, "code"),
	}
	s.Resources.CPU = nexus.CPU(rapid.Int64Range(0, 4096*1000).Draw(t, "cpu"))
	s.Resources.Memory, s.Resources.Shm = amount(t, "memory"), amount(t, "shm")
	s.Resources.GPUMemory = amount(t, "gpu_memory")
	s.Resources.Enforce = rapid.SampledFrom([]nexus.Enforce{"", nexus.EnforceWarn, nexus.EnforceKill}).Draw(t, "enforce")
	switch rapid.IntRange(0, 3).Draw(t, "devices") {
	case 0:
		s.Resources.GPUs.N = s.Workers * rapid.IntRange(1, 4).Draw(t, "per worker")
	case 1:
		s.Resources.GPUs.Auto = true
	case 2:
		s.Resources.GPUs.Auto, s.Workers = true, 0
	default:
		if s.Resources.GPUMemory > 0 {
			s.Workers = 1
		}
	}
	if s.Resources.GPUs.N > 0 && rapid.Bool().Draw(t, "slices") {
		s.Resources.MIG = rapid.SampledFrom([]string{"1g.10gb", "1g.5gb+me", "1c.2g.10gb"}).Draw(t, "mig")
	}
	level := rapid.SampledFrom([]nexus.Level{nexus.LevelRack, nexus.LevelBlock}).Draw(t, "level")
	switch rapid.IntRange(0, 3).Draw(t, "topology") {
	case 0:
		s.Topology.Require = level
	case 1:
		s.Topology.Prefer = rapid.SampledFrom(nexus.Levels()).Draw(t, "prefer level")
	}
	if list := rapid.SliceOfNDistinct(rapid.IntRange(0, 15), 0, 4, rapid.ID[int]).Draw(t, "prefer"); len(list) > 0 {
		s.PreferGPUs = list
	}
	if list := rapid.SliceOfN(oneLine(), 0, 2).Draw(t, "model"); len(list) > 0 {
		s.Resources.GPUModel = list
	}
	s.MaxDuration = nexus.Duration(rapid.Int64Min(0).Draw(t, "max_duration"))
	for _, job := range rapid.SliceOfNDistinct(name(), 0, 3, rapid.ID[string]).Draw(t, "after") {
		s.After = append(s.After, nexus.After{Job: job, On: rapid.SampledFrom([]nexus.Await{nexus.AwaitSuccess, nexus.AwaitAny}).Draw(t, "on")})
	}
	if text := rapid.SampledFrom([]string{"", "0-15%4", "5", "0,3,7", "0-10:2", "7,1-3,20-30:5%1"}).Draw(t, "array"); text != "" {
		if err := s.Array.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		s.Name = s.Name[:1]
	}
	if rapid.Bool().Draw(t, "has setup") {
		s.Setup = command(t, "setup")
	}
	if rapid.Bool().Draw(t, "has checkpoint") {
		s.Checkpoint = &nexus.CheckpointSpec{Path: oneLine().Draw(t, "path"), Grace: nexus.Duration(rapid.Int64Min(0).Draw(t, "grace"))}
	}
	s.Restart.Max = rapid.IntRange(0, 1000).Draw(t, "max")
	s.Restart.On = rapid.SliceOfNDistinct(rapid.SampledFrom([]nexus.Cause{"exit", "hang", "oom", "node", "preempt"}), 0, 5, rapid.ID[nexus.Cause]).Draw(t, "on")
	if s.Restart.Max > 0 && slices.Contains(s.Restart.On, nexus.CauseOOM) && rapid.Bool().Draw(t, "grows") {
		s.Restart.Grow = nexus.Factor(rapid.IntRange(1001, 4000).Draw(t, "grow"))
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.StringMatching(`([a-z]{1,5}/)?[A-Za-z0-9]{1,8}`), 0, 3, rapid.ID[string]).Draw(t, "labels") {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[key] = rapid.StringMatching(`([A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?)?`).Draw(t, key)
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.StringMatching(`X[A-Z_]{0,8}|[yn]|on`), 0, 3, rapid.ID[string]).Draw(t, "env") {
		if s.Env == nil {
			s.Env = map[string]nexus.EnvValue{}
		}
		if rapid.Bool().Draw(t, key+" is a reference") {
			s.Env[key] = nexus.EnvValue{From: rapid.SampledFrom([]string{"env:A", "file:~/x y", "secret:a/b"}).Draw(t, key)}
		} else {
			s.Env[key] = nexus.EnvValue{Value: rapid.OneOf(anyText(), rapid.Just("\x1b[31m\x7f\u0085\ufeff\u2028")).Draw(t, key)}
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "volumes") {
		v := nexus.Volume{Path: "/" + oneLine().Draw(t, "mount"), ReadOnly: rapid.Bool().Draw(t, "read_only")}
		if rapid.Bool().Draw(t, "is a claim") {
			v.PVC = name().Draw(t, "pvc")
		} else {
			v.Name = oneLine().Draw(t, "directory")
		}
		s.Volumes = append(s.Volumes, v)
	}
	return s
}

// TestRoundTrip: what Render writes, and what encoding/json writes, Parse reads as the same job.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { settled(t, anySpec(t)) })
}

// TestSetMeansWrite: --set does what writing the field into the file would do.
func TestSetMeansWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := anySpec(t)
		key, value := "X"+rapid.StringMatching(`[A-Z]{0,4}`).Draw(t, "key"), script().Draw(t, "value")
		nodes := rapid.IntRange(1, 9).Draw(t, "nodes")
		got, _, err := jobfile.Parse(jobfile.Render(spec), jobfile.Options{Set: []string{
			"env." + key + "=" + value, fmt.Sprintf("nodes=%d", nodes), "run=" + value, "prefer_gpus=[3, 1]", "name=null",
		}})
		if err != nil && !strings.HasPrefix(value, "[") {
			t.Fatal(jobfile.Explain("", err))
		}
		if spec.Env == nil {
			spec.Env = map[string]nexus.EnvValue{}
		}
		spec.Env[key] = nexus.EnvValue{Value: value}
		spec.Nodes, spec.Run, spec.PreferGPUs = nexus.Range{Min: nodes, Max: nodes}, nexus.Command{Shell: value}, []int{3, 1}
		spec.Name = got.Name
		if diff := difference(spec, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestRenderWritesEveryField: a field that is new in nexus.Spec has to find its line in Render.
func TestRenderWritesEveryField(t *testing.T) {
	spec, _, err := jobfile.Parse([]byte(`
name: a
workers: 1
resources: {gpus: 1, gpu_memory: 1GiB, gpu_model: [H100], mig: 1g.10gb, cpu: 1, memory: 1GiB, shm: 1GiB, enforce: warn}
topology: {require: rack}
prefer_gpus: [0]
max_duration: 1h
after: [{job: b}]
array: 0-3
labels: {a: b}
env: {A: b}
volumes: [{pvc: a, path: /a, read_only: true}]
image: a
code: upload
setup: a
run: a
checkpoint: {path: a}
restart: {max: 1, on: [oom], grow: 1.5}
`), jobfile.Options{})
	if err != nil {
		t.Fatal(jobfile.Explain("", err))
	}
	text := "\n" + string(jobfile.Render(spec))
	at := 0
	var each func(typ reflect.Type, indent string)
	each = func(typ reflect.Type, indent string) {
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			line := "\n" + indent + key + ":"
			found := strings.Index(text[at:], line)
			if found < 0 {
				t.Errorf("%q is not written, or not in the order of the Spec", key)
				continue
			}
			at += found
			if inner := typ.Field(i).Type; inner.Kind() == reflect.Struct && inner.Field(0).Tag.Get("json") != "" &&
				inner != reflect.TypeFor[nexus.Topology]() { // one of its two fields is written
				each(inner, indent+"  ")
			}
		}
	}
	each(reflect.TypeFor[nexus.Spec](), "")
}
