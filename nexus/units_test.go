package nexus_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

func TestParseMiB(t *testing.T) {
	for text, want := range map[string]nexus.MiB{
		"0": 0, "1": 1, "1048576": 1, "1048577": 2, "0B": 0, "1B": 1,
		"40GiB": 40 << 10, "40Gi": 40 << 10, " 40 GiB ": 40 << 10, "512MiB": 512, "2TiB": 2 << 20, "1KiB": 1, "2048Ki": 2,
		"16GB": 15259, "1MB": 1, "1TB": 953675, "1.5GiB": 1536, ".5GiB": 512, "5.GiB": 5 << 10,
		// A request never shrinks: the least bit more is a MiB more.
		"1.0000000001MiB": 2, "1.0000000000MiB": 1, "0.0001B": 1, "0.001KiB": 1,
		"8191TiB": 8191 << 20, "8388607GiB": 8388607 << 10,
	} {
		got, err := nexus.ParseMiB(text)
		if err != nil || got != want {
			t.Errorf("ParseMiB(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for text, about := range map[string]string{
		"": "not an amount", "GiB": "not an amount", ".": "not an amount", "-1GiB": "not an amount", "+1GiB": "not an amount",
		"1e9": "not an amount", "1,5GiB": "not an amount", "1.5.5GiB": "not an amount", "40gigs": "not an amount", "40gib": "not an amount",
		"0x10": "not an amount", "1_000": "not an amount", "500m": "not an amount", "1..5": "not an amount", "GiB40": "not an amount",
		"9000TiB": "more memory than", "9223372036854775807": "more memory than", "99999999999999999999999GiB": "more memory than",
		"9007199254740993B": "more memory than", "18446744073709551616": "more memory than",
	} {
		if got, err := nexus.ParseMiB(text); err == nil || !strings.Contains(err.Error(), about) || got != 0 {
			t.Errorf("ParseMiB(%q) = %d, %v; want an error about %q", text, got, err, about)
		}
	}
}

func TestParseCPU(t *testing.T) {
	for text, want := range map[string]nexus.CPU{
		"0": 0, "2": 2000, "0.5": 500, ".5": 500, "500m": 500, "1500m": 1500, "0m": 0, " 4 ": 4000, "0.0001": 1, "1.0005": 1001, "1.0000": 1000,
	} {
		if got, err := nexus.ParseCPU(text); err != nil || got != want {
			t.Errorf("ParseCPU(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", ".", "-1", "-1m", "0.5m", "four", "1e3", "1 m", "99999999999999999999", "99999999999999999999m"} {
		if got, err := nexus.ParseCPU(text); err == nil || got != 0 {
			t.Errorf("ParseCPU(%q) = %d, want an error", text, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": day, "7d": 7 * day, "0d": 0, "1d12h": 36 * time.Hour,
		"1d1h1m1s": day + time.Hour + time.Minute + time.Second, "1.5h": 90 * time.Minute, " 5m ": 5 * time.Minute, "65535d": 65535 * day,
	} {
		if got, err := nexus.ParseDuration(text); err != nil || time.Duration(got) != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "d", "90", "1.5d", "-1d", "-5m", "1d-1h", "1d2d", "1h1d", "3 weeks", "65536d", "9999999h", "1w", "65535d2562047h",
	} {
		if got, err := nexus.ParseDuration(text); err == nil || got != 0 {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

// TestUnitsAsText: each unit is written in the form that people would choose.
func TestUnitsAsText(t *testing.T) {
	for want, got := range map[string]string{
		"0MiB": nexus.MiB(0).String(), "512MiB": nexus.MiB(512).String(), "40GiB": nexus.MiB(40 << 10).String(),
		"1536MiB": nexus.MiB(1536).String(), "2TiB": nexus.MiB(2 << 20).String(), "-3GiB": nexus.MiB(-3 << 10).String(),
		"2": nexus.CPU(2000).String(), "0.5": nexus.CPU(500).String(), "1.001": nexus.CPU(1001).String(), "0": nexus.CPU(0).String(),
		"-0.5": nexus.CPU(-500).String(), "-2": nexus.CPU(-2000).String(),
		"0s": nexus.Duration(0).String(), "1m30s": nexus.Duration(90 * time.Second).String(), "15m": nexus.Duration(15 * time.Minute).String(),
		"1d": nexus.Duration(24 * time.Hour).String(), "36h": nexus.Duration(36 * time.Hour).String(), "1h0m1s": nexus.Duration(3601 * time.Second).String(),
		"10h10m": nexus.Duration(610 * time.Minute).String(),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUnitsComeBack: what String writes, Parse reads as the same amount.
func TestUnitsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mib := nexus.MiB(rapid.Int64Range(0, math.MaxInt64/1000>>20).Draw(t, "mib"))
		if got, err := nexus.ParseMiB(mib.String()); err != nil || got != mib {
			t.Fatalf("%v came back as %v, %v", mib, got, err)
		}
		cpu := nexus.CPU(rapid.Int64Range(0, 1<<53-1).Draw(t, "cpu"))
		if got, err := nexus.ParseCPU(cpu.String()); err != nil || got != cpu {
			t.Fatalf("%v came back as %v, %v", cpu, got, err)
		}
		d := nexus.Duration(rapid.Int64Min(0).Draw(t, "duration"))
		if got, err := nexus.ParseDuration(d.String()); err != nil || got != d {
			t.Fatalf("%v came back as %v, %v", d, got, err)
		}
	})
}

// TestParseMiBAgainstFractions: the integers round as exact fractions do.
func TestParseMiBAgainstFractions(t *testing.T) {
	units := map[string]int64{"B": 1, "KiB": 1 << 10, "MB": 1e6, "MiB": 1 << 20, "GB": 1e9, "GiB": 1 << 30, "TiB": 1 << 40}
	names := []string{"B", "KiB", "MB", "MiB", "GB", "GiB", "TiB"}
	rapid.Check(t, func(t *rapid.T) {
		number := strconv.FormatInt(rapid.Int64Range(0, 8000).Draw(t, "whole"), 10) + rapid.StringMatching(`(\.[0-9]{1,12})?`).Draw(t, "part")
		unit := rapid.SampledFrom(names).Draw(t, "unit")
		exact, ok := new(big.Rat).SetString(number)
		if !ok {
			t.Fatalf("%q is no fraction", number)
		}
		exact.Mul(exact, big.NewRat(units[unit], 1<<20))
		got, err := nexus.ParseMiB(number + unit)
		if err != nil {
			t.Fatal(err)
		}
		// Below a thousandth of the unit the request is rounded up too, so that it is never less and never a
		// thousandth of the unit and a MiB more.
		slack := new(big.Rat).Add(big.NewRat(1, 1), big.NewRat(units[unit], 1000<<20))
		amount := big.NewRat(int64(got), 1)
		if amount.Cmp(exact) < 0 || new(big.Rat).Sub(amount, exact).Cmp(slack) >= 0 {
			t.Fatalf("ParseMiB(%q) = %v, which is not just above %s", number+unit, got, exact.FloatString(3))
		}
	})
}

// FuzzUnits: an amount is never negative, and is the same when it is written and read again.
func FuzzUnits(f *testing.F) {
	for _, text := range []string{"40GiB", "1.5", "500m", "1d12h", "2..4", "auto", "-1", "9e9", "0.0000000001TiB", "65535d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := nexus.ParseMiB(text); err == nil {
			if again, err := nexus.ParseMiB(m.String()); m < 0 || err != nil || again != m {
				t.Errorf("memory %q is %v, then %v, %v", text, m, again, err)
			}
		}
		if c, err := nexus.ParseCPU(text); err == nil {
			if again, err := nexus.ParseCPU(c.String()); c < 0 || err != nil || again != c {
				t.Errorf("cpu %q is %v, then %v, %v", text, c, again, err)
			}
		}
		if d, err := nexus.ParseDuration(text); err == nil {
			if again, err := nexus.ParseDuration(d.String()); d < 0 || err != nil || again != d {
				t.Errorf("duration %q is %v, then %v, %v", text, d, again, err)
			}
		}
		var r, r2 nexus.Range
		if r.UnmarshalText([]byte(text)) == nil {
			if err := r2.UnmarshalText([]byte(r.String())); r.Min < 1 || r.Max < r.Min || err != nil || r2 != r {
				t.Errorf("nodes %q is %v, then %v, %v", text, r, r2, err)
			}
		}
		var g nexus.GPUCount
		if g.UnmarshalText([]byte(text)) == nil && (g.N < 0 || g.Auto && g.N != 0) {
			t.Errorf("gpus %q is %+v", text, g)
		}
	})
}

// TestUnitsInJSON: strings and bare numbers are both taken, and null changes nothing.
func TestUnitsInJSON(t *testing.T) {
	var r nexus.Resources
	const in = `{"gpus": "4", "gpu_memory": 1048577, "cpu": 0.5, "memory": "1GiB", "shm": null}`
	r.Shm = 7
	if err := json.Unmarshal([]byte(in), &r); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"gpus":4,"gpu_memory":"2MiB","cpu":0.5,"memory":"1GiB","shm":"7MiB"}`; string(out) != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
	for _, in := range []string{`{"gpus": -1}`, `{"gpus": 1.5}`, `{"gpus": 70000}`, `{"cpu": true}`, `{"memory": {}}`, `{"memory": "\ud800"}`} {
		if err := json.Unmarshal([]byte(in), &r); err == nil {
			t.Errorf("%s is taken", in)
		}
	}
}
