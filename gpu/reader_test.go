package gpu

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a source that does what the test says. It runs behind the real protocol, inside the process.
type scripted struct {
	look func(ask request, at func(index, of int)) (Sample, error)
}

func (s scripted) read(_ context.Context, ask request, at func(index, of int)) (Sample, error) {
	return s.look(ask, at)
}
func (scripted) close() {}

func scriptedReader(opts Options, look func(request, func(int, int)) (Sample, error)) (*Reader, *atomic.Int32) {
	var starts atomic.Int32
	r := New(opts)
	r.start = func() (*peer, error) {
		starts.Add(1)
		return startInside(func(request) (source, Sample) { return scripted{look}, Sample{} }), nil
	}
	return r, &starts
}

func pair() []Device {
	a, b := unread(0), unread(1)
	a.UUID, b.UUID = "GPU-a", "GPU-b"
	return []Device{a, b}
}

func mustSample(t *testing.T, r *Reader) Sample {
	t.Helper()
	s, err := r.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A driver that blocks altogether: two samplers may hang in it, then no more are started; the samples in between cost
// nothing; when it comes back so do the devices.
func TestABlockedDriverIsAskedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var blocked atomic.Bool
		r, starts := scriptedReader(Options{}, func(ask request, at func(int, int)) (Sample, error) {
			if blocked.Load() {
				<-release
			}
			return Sample{Source: SourceNVML, Devices: pair()}, nil
		})
		mustSample(t, r)
		blocked.Store(true)

		began := time.Now()
		s := mustSample(t, r)
		if took := time.Since(began); took < 5*time.Second || took > 10*time.Second {
			t.Errorf("noticed after %v", took)
		}
		if !s.Broken || len(s.Devices) != 2 || s.Devices[0].Healthy || s.Devices[0].UUID != "GPU-a" {
			t.Errorf("%+v", s)
		}
		began = time.Now()
		if s := mustSample(t, r); time.Since(began) != 0 || !s.Broken {
			t.Errorf("asked again before the pause is over: %+v", s)
		}
		for range 20 {
			time.Sleep(5 * time.Minute)
			mustSample(t, r)
		}
		if n := starts.Load(); n != maxStuck {
			t.Errorf("%d samplers were started into a blocked driver", n)
		}

		blocked.Store(false)
		close(release)
		time.Sleep(5 * time.Minute)
		if s := mustSample(t, r); s.Broken || !s.Devices[0].Healthy {
			t.Errorf("the driver is back: %+v", s)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// One device blocks, and blocks again each time it is tried: it is tried ever more rarely.
func TestABadDeviceIsTriedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // each sampler has its goroutine
		var tries []time.Time
		tried := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(tries)
		}
		r, _ := scriptedReader(Options{StartTimeout: 5 * time.Second}, func(ask request, at func(int, int)) (Sample, error) {
			devices := pair()
			for i := range devices {
				if ask.skips(i, 2) {
					devices[i].fail(problemSkipped)
					continue
				}
				at(i, 2)
				if i == 1 && tried() < 4 {
					mu.Lock()
					tries = append(tries, time.Now())
					mu.Unlock()
					// Killed, a child would be gone; here it is let go once the watch has given it up.
					gone := make(chan struct{})
					time.AfterFunc(7*time.Second, func() { close(gone) })
					<-gone
				}
			}
			return Sample{Source: SourceNVML, Devices: devices}, nil
		})
		defer r.Close()
		for range 400 {
			s := mustSample(t, r)
			if !s.Devices[0].Healthy {
				t.Fatalf("the other device suffers: %+v", s)
			}
			if s.Devices[1].Healthy && tried() == 4 {
				break
			}
			time.Sleep(time.Second)
		}
		mu.Lock()
		made := slices.Clone(tries)
		mu.Unlock()
		var pauses []time.Duration
		for i := 1; i < len(made); i++ {
			pauses = append(pauses, made[i].Sub(made[i-1]).Truncate(time.Second))
		}
		if len(pauses) != 3 || !slices.IsSorted(pauses) || pauses[0] < 10*time.Second || pauses[2] < 40*time.Second {
			t.Errorf("pauses %v", pauses)
		}
		if s := mustSample(t, r); !s.Devices[1].Healthy {
			t.Errorf("in the end it answers: %+v", s)
		}
		if len(r.suspect) != 0 {
			t.Errorf("still suspected: %v", r.suspect)
		}
	})
}

// When a lost GPU makes the driver count anew, the numbers mean other devices: nobody is left out for it.
func TestSkipsOnlyWhileTheNumbersHold(t *testing.T) {
	r := request{Skip: []int{1}, SkipOf: 4}
	if !r.skips(1, 4) || r.skips(1, 3) || r.skips(0, 4) {
		t.Error("skips")
	}
}

func TestAMachineWithoutGPUsIsAskedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var have atomic.Bool
		r, starts := scriptedReader(Options{}, func(request, func(int, int)) (Sample, error) {
			if have.Load() {
				return Sample{Source: SourceNVML, Devices: pair()}, nil
			}
			return Sample{Source: SourceNone, Reason: "nothing here"}, nil
		})
		defer r.Close()
		for range 240 {
			if s := mustSample(t, r); s.Reason != "nothing here" || s.Broken || time.Since(s.At) != 0 {
				t.Fatalf("%+v", s)
			}
			time.Sleep(time.Second)
		}
		if n := starts.Load(); n != 1 {
			t.Errorf("%d samplers in four minutes", n)
		}
		have.Store(true) // the driver is loaded late
		time.Sleep(5 * time.Minute)
		if s := mustSample(t, r); len(s.Devices) != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// The source fails as a whole (a driver replaced underneath): the devices are unwell, not gone, and the source is opened anew.
func TestASourceThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r, starts := scriptedReader(Options{}, func(request, func(int, int)) (Sample, error) {
			if calls++; calls == 2 {
				return Sample{}, errors.New("versions differ")
			}
			return Sample{Source: SourceNVML, Devices: pair()}, nil
		})
		defer r.Close()
		mustSample(t, r)
		s := mustSample(t, r)
		if !s.Broken || len(s.Devices) != 2 || s.Devices[0].Healthy || !strings.Contains(s.Devices[0].Problem, "versions differ") {
			t.Errorf("%+v", s)
		}
		if s := mustSample(t, r); s.Broken || !s.Devices[0].Healthy || starts.Load() != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCloseInterruptsASample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r, _ := scriptedReader(Options{StartTimeout: time.Hour}, func(request, func(int, int)) (Sample, error) {
			<-release
			return Sample{}, nil
		})
		result := make(chan error, 1)
		go func() {
			_, err := r.Sample(context.Background())
			result <- err
		}()
		synctest.Wait()
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), "hang in the driver") {
			t.Errorf("Close hides a sampler that stays: %v", err)
		}
		if err := <-result; !errors.Is(err, ErrClosed) {
			t.Errorf("the sample: %v", err)
		}
		close(release)
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
