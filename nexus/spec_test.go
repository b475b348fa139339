package nexus_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"ainexus.io/nexus"
)

func TestRange(t *testing.T) {
	for text, want := range map[string]nexus.Range{
		"1": {Min: 1, Max: 1}, "2..4": {Min: 2, Max: 4}, " 2 .. 4 ": {Min: 2, Max: 4}, "3..3": {Min: 3, Max: 3}, "65535": {Min: 65535, Max: 65535},
	} {
		var r nexus.Range
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%q is %v, %v; want %v", text, r, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "4..2", "0..2", "1..", "..4", "1...4", "1-4", "1.5", "65536", "auto", "1..2..3"} {
		var r nexus.Range
		if err := r.UnmarshalText([]byte(text)); err == nil || r != (nexus.Range{}) {
			t.Errorf("%q is taken as %v", text, r)
		}
	}
}

// TestSpecInJSON: every kind of field survives the wire, also into a Spec that held something else.
func TestSpecInJSON(t *testing.T) {
	spec := nexus.Spec{
		Name: "a", Type: nexus.Inference, Priority: nexus.Critical, Queue: "q", Nodes: nexus.Range{Min: 1, Max: 2},
		Resources: nexus.Resources{GPUs: nexus.GPUCount{Auto: true}, GPUMemory: 5, CPU: 1500},
		Env:       map[string]nexus.EnvValue{"A": {Value: "x"}, "B": {From: "env:B"}, "C": {}},
		Workdir:   ".", Setup: nexus.Command{Shell: "make"}, Run: nexus.Command{Argv: []string{"a", "b c"}},
		Checkpoint: &nexus.CheckpointSpec{Path: "p"}, Restart: nexus.Restart{On: []nexus.Cause{}},
	}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	again := nexus.Spec{Setup: nexus.Command{Argv: []string{"old"}}, Run: nexus.Command{Shell: "old"}}
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(spec, again) {
		t.Errorf("came back as %+v\nfrom %s", again, data)
	}
	spec.Setup, spec.Nodes = nexus.Command{}, nexus.Range{Min: 3, Max: 3}
	data, err = json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	if fields["setup"] != nil || fields["nodes"] != 3.0 || fields["priority"] != "critical" {
		t.Errorf("setup %v, nodes %v, priority %v", fields["setup"], fields["nodes"], fields["priority"])
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		r    nexus.Resources
		want bool
	}{
		{nexus.Resources{}, false},
		{nexus.Resources{GPUMemory: 1}, true},
		{nexus.Resources{GPUMemory: 1, GPUs: nexus.GPUCount{N: 1}}, false},
		{nexus.Resources{GPUMemory: 1, GPUs: nexus.GPUCount{Auto: true}}, false},
	} {
		if got := c.r.Share(); got != c.want {
			t.Errorf("%+v: Share() = %v", c.r, got)
		}
	}
}

func TestWords(t *testing.T) {
	for _, p := range []nexus.Priority{nexus.Low, nexus.Normal, nexus.High, nexus.Critical} {
		var again nexus.Priority
		if err := again.UnmarshalText([]byte(p.String())); err != nil || again != p {
			t.Errorf("%v comes back as %v, %v", p, again, err)
		}
	}
	var p nexus.Priority
	var typ nexus.Type
	for _, word := range []string{"", "urgent", "priority(7)", "Training", "2"} {
		if p.UnmarshalText([]byte(word)) == nil || typ.UnmarshalText([]byte(word)) == nil {
			t.Errorf("%q is taken", word)
		}
	}
	if got := nexus.Priority(7).String(); got != "priority(7)" {
		t.Errorf("an unknown priority is %q", got)
	}
	if p != nexus.Normal {
		t.Errorf("the zero priority is %v", p)
	}
}

// TestEpochsAreOrdered: an attempt outranks every round of the attempts before it.
func TestEpochsAreOrdered(t *testing.T) {
	order := []nexus.Epoch{{Attempt: 1}, {Attempt: 1, Round: 1}, {Attempt: 1, Round: 9}, {Attempt: 2}, {Attempt: 2, Round: 1}}
	for i, a := range order {
		for j, b := range order {
			if a.Less(b) != (i < j) {
				t.Errorf("%v before %v: %v", a, b, a.Less(b))
			}
		}
	}
}

func TestPhasesAndCauses(t *testing.T) {
	for phase, want := range map[nexus.Phase][2]bool{
		nexus.Pending: {false, false}, nexus.Starting: {true, false}, nexus.Running: {true, false}, nexus.Stopping: {true, false},
		nexus.Succeeded: {false, true}, nexus.Failed: {false, true}, nexus.Cancelled: {false, true},
	} {
		if got := [2]bool{phase.Live(), phase.Over()}; got != want {
			t.Errorf("%s: live, over = %v", phase, got)
		}
	}
	for cause, want := range map[nexus.Cause]bool{
		nexus.CauseExit: true, nexus.CauseHang: true, nexus.CauseNode: false, nexus.CausePreempt: false,
		nexus.CauseCancel: false, nexus.CauseTimeout: false, nexus.CauseSetup: false,
	} {
		if cause.Charged() != want {
			t.Errorf("%s: charged = %v", cause, cause.Charged())
		}
	}
}

func TestErrorsAreALineEach(t *testing.T) {
	errs := nexus.Errors{{Message: "a"}, {Message: "b", Hint: "never shown by Error"}}
	for want, got := range map[string]string{"no error": errs[:0].Error(), "a": errs[:1].Error(), "a\nb": errs.Error()} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestUsableMemoryIsNeverNegative(t *testing.T) {
	if got := (nexus.GPU{Memory: 100, Reserve: 30}).Usable(); got != 70 {
		t.Errorf("usable %d of 100 less 30", got)
	}
	if got := (nexus.GPU{Memory: 10, Reserve: 30}).Usable(); got != 0 {
		t.Errorf("usable %d of 10 less 30", got)
	}
}
