package local

import (
	"context"
	"sync"
	"time"

	"ainexus.io/gpu"
	"ainexus.io/nexus"
)

// devices are the GPUs as they were last seen, and as the planner was last told.
type devices struct {
	source Devices // nil: there are none
	clock  *clock
	bell   chan struct{} // cap 1: who needs them may have changed
	turn   chan struct{} // cap 1: held by who asks

	mu   sync.Mutex
	last gpu.Sample
	at   time.Duration // by the mono clock
	when time.Time
	have bool
	told []nexus.GPU
}

func newDevices(source Devices, c *clock) *devices {
	return &devices{source: source, clock: c, bell: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

func (d *devices) nudge() {
	select {
	case d.bell <- struct{}{}:
	default:
	}
}

// sample gives what was seen at most age ago, and asks the devices where that is too long. When is by the place's clock.
func (d *devices) sample(ctx context.Context, age time.Duration) (s gpu.Sample, when time.Time) {
	if d.source == nil {
		return gpu.Sample{Source: gpu.SourceNone, Reason: "GPUs are not looked for"}, d.clock.Now()
	}
	if s, when, ok := d.recent(age); ok {
		return s, when
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		s, when, _ = d.recent(-1)
		return s, when
	}
	if s, when, ok := d.recent(age); ok { // somebody else has asked meanwhile
		return s, when
	}
	fresh, err := d.source.Sample(ctx)
	if err != nil { // ctx is over, or the reader is closed
		s, when, _ = d.recent(-1)
		return s, when
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last, d.at, d.when, d.have = fresh, d.clock.mono(), d.clock.Now(), true
	return d.last, d.when
}

// recent gives the last sample, and whether it is young enough; a negative age takes any.
func (d *devices) recent(age time.Duration) (gpu.Sample, time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, d.when, d.have && (age < 0 || d.clock.mono()-d.at <= age)
}

// settle samples and gives the devices for the planner, and whether it has to hear of them. Foreign is what others
// than our jobs use of a device, by UUID.
func (d *devices) settle(ctx context.Context, foreign func(gpu.Sample) map[string]nexus.MiB) (gpus []nexus.GPU, changed bool) {
	s, _ := d.sample(ctx, freshEnough)
	var strangers map[string]nexus.MiB
	if foreign != nil {
		strangers = foreign(s)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := map[string]nexus.GPU{}
	for _, g := range d.told {
		known[g.UUID] = g
	}
	changed = len(s.Devices) != len(d.told)
	gpus = make([]nexus.GPU, len(s.Devices))
	for i, dev := range s.Devices {
		before, ok := known[dev.UUID]
		g := nexus.GPU{
			Index: dev.Index, UUID: dev.UUID, Model: dev.Model, Memory: nexus.MiB(dev.MemoryMiB), Reserve: nexus.MiB(dev.ReservedMiB),
			Free: nexus.MiB(dev.FreeMiB), Foreign: strangers[dev.UUID], Util: (max(0, dev.Utilisation) + 5) / 10,
		}
		if !dev.Healthy {
			g.Problem, g.Free = dev.Problem, 0
		}
		if ok {
			g.Free = steady(before.Free, g.Free, g.Memory)
			g.Foreign = steady(before.Foreign, g.Foreign, g.Memory)
			// A step of 10 % has to be left by 3 more before it counts.
			if near(max(0, dev.Utilisation), before.Util*10, 8) {
				g.Util = before.Util
			}
		}
		gpus[i] = g
		changed = changed || !ok || g != before
	}
	d.told = gpus
	return gpus, changed
}

// freshEnough keeps what is shown at most 2 s old, with the time that it takes to show it.
const freshEnough = time.Second

// steady keeps an old amount of memory as long as the new one differs by noise only. Nothing is nothing.
func steady(before, now, total nexus.MiB) nexus.MiB {
	if now != 0 && near(int(now), int(before), int(max(256, total/100))-1) {
		return before
	}
	return now
}

func near(a, b, distance int) bool { return max(a-b, b-a) <= distance }

// watchDevices asks the devices while jobs hold them or wait for them, and tells the planner what changed.
func (p *Place) watchDevices(ctx context.Context) {
	if p.devices.source == nil {
		return
	}
	shares := shareWatch{over: map[string]time.Duration{}, told: map[string]bool{}}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if pace := p.pace(); pace > 0 {
			timer.Reset(pace)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-p.devices.bell:
		case <-timer.C:
			p.refresh(ctx)
			shares.look(ctx, p)
		}
	}
}

// refresh asks the devices and tells the planner where something changed that matters.
func (p *Place) refresh(ctx context.Context) {
	if gpus, changed := p.devices.settle(ctx, p.foreign); changed && ctx.Err() == nil {
		p.view.setGPUs(gpus)
	}
}

// pace is how often the devices are to be asked; 0: not at all.
func (p *Place) pace() time.Duration {
	pace := time.Duration(0)
	for _, r := range p.view.records() {
		switch {
		case r.Job.Placement != nil && len(r.Job.Placement.Seats) > 0 && len(r.Job.Placement.Seats[0].GPUs) > 0:
			return time.Second
		case r.Job.Phase == nexus.Pending && (r.Job.Spec.Resources.GPUs.N > 0 || r.Job.Spec.Resources.Share()):
			pace = 5 * time.Second
		}
	}
	return pace
}
