package nexus

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestFactors(t *testing.T) {
	for text, want := range map[string]string{"1.5": "1.5", "2": "2", "1.001": "1.001", "4": "4", "1.2500": "1.25"} {
		var f Factor
		if err := f.UnmarshalText([]byte(text)); err != nil || f.String() != want {
			t.Errorf("%s is read as %s, %v", text, f, err)
		}
		data, err := json.Marshal(f)
		var again Factor
		if err != nil || json.Unmarshal(data, &again) != nil || again != f {
			t.Errorf("%s is written as %s and read as %s, %v", f, data, again, err)
		}
	}
	for _, text := range []string{"", "1", "0", "-2", "4.1", "NaN", "Inf", "1e300", "x"} {
		var f Factor
		if f.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken as %s", text, f)
		}
	}
	if got := Factor(1500).Times(1001); got != 1502 {
		t.Errorf("1.5 times 1001MiB is %s", got)
	}
}

func TestWhatWasUsedOfWhatWasAsked(t *testing.T) {
	j := Job{Result: &Result{AskedMemory: 64 << 10, PeakMemory: 20 << 10, PeakGPUMemory: 512}}
	want := "[memory: asked 64GiB, used at most 20GiB in the last attempt GPU memory: used at most 512MiB in the last attempt, asked for none]"
	if got := fmt.Sprint(j.Usage()); got != want {
		t.Errorf("%s", got)
	}
	if (Job{}).Usage() != nil {
		t.Error("nothing was measured, yet something is said")
	}
}
