package gpu

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func FuzzParseSMI(f *testing.F) {
	f.Add("0, GPU-aaaa, NVIDIA L40S, 46068, 600, 45000, 468, 7, 41, 68.94, 350.00, 550.54.15, None\n")
	f.Add("1, GPU-bbbb, X, [N/A], [N/A], 1, 2, [GPU is lost], ERR!, -5, 1e99, [Unknown Error], Reset\n")
	f.Add("uuid, index, name\nGPU-a, 0, X\nindex, name, uuid\n1, Y, GPU-b\n")
	f.Add("Field \"memory.reserved\" is not a valid field to query.\n")
	f.Add("\x1b[2J\x00,,,,\r\n\xff")
	f.Fuzz(func(t *testing.T, out string) {
		devices, driver, err := parseSMI(out, smiFields[:])
		seen := map[string]bool{}
		last := -1
		for _, d := range devices {
			if d.UUID != "" && seen[d.UUID] || d.Index < last || d.Index < 0 {
				t.Fatalf("twice or out of order: %+v", devices)
			}
			seen[d.UUID], last = true, d.Index
			if d.Healthy && !strings.HasPrefix(d.UUID, "GPU-") || d.Healthy == (d.Problem != "") {
				t.Fatalf("%+v", d)
			}
			if d.MemoryMiB < 0 || d.FreeMiB < 0 || d.UsedMiB < 0 || d.ReservedMiB < 0 || d.Utilisation < Unknown || d.PowerMilliwatts < Unknown {
				t.Fatalf("negative: %+v", d)
			}
			printable(t, d.UUID, d.Model, d.Problem)
		}
		printable(t, driver)
		if err != nil {
			printable(t, err.Error())
		}
		parseSMIProcesses(out)
	})
}

func printable(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || len(s) > 4*600 {
			t.Fatalf("not fit to print: %q", s)
		}
	}
}

// Whatever the driver reports in whatever order, a GPU once seen is never forgotten, never doubled, and unwell
// exactly when the last sample does not have it well.
func TestMemoryForgetsNoDevice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m memory
		ever := map[string]bool{}
		uuids := []string{"GPU-a", "GPU-b", "GPU-c", "GPU-d"}
		for range rapid.IntRange(1, 8).Draw(t, "samples") {
			var s Sample
			well := map[string]bool{}
			here := rapid.SliceOfNDistinct(rapid.SampledFrom(uuids), 0, 4, rapid.ID).Draw(t, "here")
			for i, uuid := range here {
				d := unread(i)
				if rapid.Bool().Draw(t, "nameless") {
					d.fail(problemLost)
				} else {
					d.UUID, ever[uuid], well[uuid] = uuid, true, true
				}
				s.Devices = append(s.Devices, d)
			}
			got := m.merge(s)
			named := map[string]bool{}
			for _, d := range got.Devices {
				if d.UUID == "" {
					continue
				}
				if named[d.UUID] {
					t.Fatalf("%s twice in %+v", d.UUID, got.Devices)
				}
				named[d.UUID] = true
				if d.Healthy != well[d.UUID] || d.Healthy == (d.Problem != "") {
					t.Fatalf("%+v", d)
				}
			}
			if len(named) != len(ever) {
				t.Fatalf("knows %v of %v", named, ever)
			}
		}
	})
}
