package train

import (
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func readProgress(t *testing.T, path string) progress {
	t.Helper()
	var p progress
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Progress is written at once, then at most five times a second, and the last word is never lost.
func TestProgressIsBoundedAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress.json")
	synctest.Test(t, func(t *testing.T) {
		f := newProgressFile(path, slog.New(slog.DiscardHandler))
		writes, last := 0, int64(0)
		for step := range int64(1000) {
			f.put(progress{Step: step + 1}, 0)
			if got := readProgress(t, path).Step; got != last {
				writes, last = writes+1, got
			}
			time.Sleep(time.Millisecond) // the bubble's clock
		}
		if writes < 4 || writes > 6 {
			t.Errorf("%d writes in one second", writes)
		}
		time.Sleep(progressEvery)
		synctest.Wait()
		if got := readProgress(t, path).Step; got != 1000 {
			t.Errorf("when the steps pause, the file says %d", got)
		}
		f.put(progress{Step: 1001}, 2*time.Second)
		f.put(progress{Step: 1002}, 0)
		f.close()
		if got := readProgress(t, path).Step; got != 1002 {
			t.Errorf("after the end the file says %d", got)
		}
	})
}

// The report has the names that the launcher reads; what is no number is left out.
func TestProgressFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress.json")
	env := Env{WorldSize: 1, ProgressFile: path}
	err := Run(t.Context(), Options{Env: &env, Log: io.Discard}, func(tr *Trainer) error {
		_, err := tr.Step(Report{Loss: math.NaN(), Epoch: 2, TotalSteps: 9,
			Metrics: map[string]float64{"samples_per_s": 5, "bad": math.Inf(1)}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"rank":0`, `"step":1`, `"total_steps":9`, `"epoch":2`, `"time":1`, `"metrics":{"samples_per_s":5}`} {
		if !strings.Contains(string(data), part) {
			t.Errorf("%s has no %s", data, part)
		}
	}
	if strings.Contains(string(data), "loss") {
		t.Errorf("%s holds a loss that is no number", data)
	}
}

// A progress file that cannot be written is told once and does not stop the training.
func TestProgressThatCannotBeWritten(t *testing.T) {
	var logged strings.Builder
	env := Env{WorldSize: 1, ProgressFile: "/nowhere/at/all.json"}
	err := Run(t.Context(), Options{Env: &env, Log: &logged}, func(tr *Trainer) error {
		for range 3 {
			if _, err := tr.Step(Report{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || strings.Count(logged.String(), "progress cannot be reported") != 1 {
		t.Errorf("%v, logged %q", err, logged.String())
	}
}
