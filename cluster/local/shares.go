package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/gpu"
	"ainexus.io/nexus"
)

// sharesOf gives the living jobs that hold a share of a GPU.
func (p *Place) sharesOf() []store.Record {
	var list []store.Record
	for _, r := range p.view.records() {
		if seat := seatOf(r.Job); seat != nil && seat.Share > 0 && len(seat.GPUs) == 1 {
			list = append(list, r)
		}
	}
	return list
}

func seatOf(job nexus.Job) *nexus.Seat {
	if job.Placement == nil || len(job.Placement.Seats) == 0 {
		return nil
	}
	return &job.Placement.Seats[0]
}

// usage is how much memory each attempt uses on each device, as far as the driver tells processes apart.
func usage(s gpu.Sample) map[string]map[string]nexus.MiB {
	used := map[string]map[string]nexus.MiB{}
	for _, d := range s.Devices {
		for _, process := range d.Processes {
			name := attemptOf(process.PID)
			if name == "" || process.UsedMiB < 0 {
				continue
			}
			if used[name] == nil {
				used[name] = map[string]nexus.MiB{}
			}
			used[name][d.UUID] += nexus.MiB(process.UsedMiB)
		}
	}
	return used
}

// foreign is what others than our jobs use of each device: what is in use less what our attempts are seen to use.
// Where the driver does not tell processes apart, our shares are taken to use all that they asked for.
func (p *Place) foreign(s gpu.Sample) map[string]nexus.MiB {
	shares, used, strangers := p.sharesOf(), usage(s), map[string]nexus.MiB{}
	p.peak(used)
	for _, d := range s.Devices {
		tells := slices.ContainsFunc(d.Processes, func(process gpu.Process) bool { return process.UsedMiB >= 0 })
		left := nexus.MiB(d.MemoryMiB - d.ReservedMiB - d.FreeMiB)
		for _, of := range used {
			left -= of[d.UUID]
		}
		for _, r := range shares {
			if seat := seatOf(r.Job); !tells && seat.GPUs[0].UUID == d.UUID {
				left -= seat.Share
			}
		}
		strangers[d.UUID] = max(0, left)
	}
	return strangers
}

// shareWatch looks for shares that take more than they asked for: 5 % over for 10 s is told, and where the job says
// so it is stopped.
type shareWatch struct {
	over map[string]time.Duration // attempt -> since when, by the mono clock
	told map[string]bool
}

const (
	shareSlack    = 20 // the 20th part: 5 %
	sharePatience = 10 * time.Second
)

func (w *shareWatch) look(ctx context.Context, p *Place) {
	shares := p.sharesOf()
	if len(shares) == 0 {
		clear(w.over)
		clear(w.told)
		return
	}
	s, _ := p.devices.sample(ctx, freshEnough)
	used, now := usage(s), p.clock.mono()
	for _, r := range shares {
		seat, name := seatOf(r.Job), attempt.Name(r.Job.ID, r.Job.Attempt)
		takes := used[name][seat.GPUs[0].UUID]
		if takes <= seat.Share+seat.Share/shareSlack {
			delete(w.over, name)
			continue
		}
		since, ok := w.over[name]
		if !ok {
			w.over[name] = now
			continue
		}
		if now-since < sharePatience || w.told[name] {
			continue
		}
		w.told[name] = true
		p.exceeded(ctx, r, takes, seat.Share)
	}
}

// exceeded tells of a share that takes too much, and stops the job where its file says so.
func (p *Place) exceeded(ctx context.Context, r store.Record, takes, share nexus.MiB) {
	text := fmt.Sprintf("it uses %s of a GPU and asked for %s", takes, share)
	if r.Job.Spec.Resources.Enforce != nexus.EnforceKill {
		p.tell(ctx, nexus.Event{Job: r.Job.ID, Attempt: r.Job.Attempt, Kind: nexus.EventNote, Message: text})
		return
	}
	err := p.change(ctx, r.Job.ID, func(now *store.Record) (string, error) {
		if now.Job.Attempt != r.Job.Attempt || now.Job.Phase != nexus.Starting && now.Job.Phase != nexus.Running {
			return "", errMoved
		}
		now.Job.Phase, now.Job.Stop = nexus.Stopping, nexus.StopShare
		return text + " (enforce: kill)", nil
	})
	if err != nil && ctx.Err() == nil {
		p.log.Warn("stopping a job that takes too much GPU memory", "job", r.Job.ID, "error", err)
	}
}
