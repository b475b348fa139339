package gpu_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/gpu"
)

func three() []gpu.Device {
	return []gpu.Device{
		{Index: 0, UUID: "GPU-aa11", Healthy: true},
		{Index: 1, UUID: "GPU-aa22"},
		{Index: 1, UUID: "GPU-bb33", Healthy: true}, // moved up when aa22 was lost
	}
}

func TestVisible(t *testing.T) {
	cases := []struct{ value, want, err string }{
		{"", "", ""},
		{" ", "", ""},
		{"GPU-bb33,GPU-aa11", "GPU-bb33 GPU-aa11", ""},
		{"GPU-bb, 0", "GPU-bb33 GPU-aa11", ""},
		{"1", "GPU-bb33", ""},
		{"0,-1,1", "GPU-aa11", ""},
		{"-1", "", ""},
		{"GPU-aa", "", "beginning of 2 UUIDs"},
		{"0,GPU-ff", "GPU-aa11", "no device has UUID GPU-ff"},
		{"0,7", "GPU-aa11", "no device has number 7"},
		{"0,GPU-aa11", "GPU-aa11", "a second time"},
		{"MIG-x", "", "neither a number nor a GPU UUID"},
		{"0,,1", "GPU-aa11", "neither a number"},
	}
	for _, c := range cases {
		got, err := gpu.Visible(three(), c.value)
		if names(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v", c.value, names(got), err)
		}
	}
}

func names(devices []gpu.Device) string {
	var uuids []string
	for _, d := range devices {
		uuids = append(uuids, d.UUID)
	}
	return strings.Join(uuids, " ")
}

// Every visible device has one owner, in order, however many there are of both.
func TestOwnDealsEachDeviceOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var visible, dealt []gpu.Device
		for i := range rapid.IntRange(0, 16).Draw(t, "devices") {
			visible = append(visible, gpu.Device{Index: i})
		}
		workers := rapid.IntRange(1, 20).Draw(t, "workers")
		for rank := range workers {
			own, err := gpu.Own(visible, rank, workers)
			if err != nil {
				t.Fatal(err)
			}
			if len(visible) == workers && (len(own) != 1 || own[0].Index != rank) {
				t.Fatalf("entry LOCAL_RANK is not its own: %v", own)
			}
			dealt = append(dealt, own...)
		}
		if !slices.EqualFunc(dealt, visible, func(a, b gpu.Device) bool { return a.Index == b.Index }) {
			t.Fatalf("dealt %v of %v", dealt, visible)
		}
	})
	if _, err := gpu.Own(nil, 2, 2); err == nil {
		t.Error("rank 2 of 2")
	}
}
