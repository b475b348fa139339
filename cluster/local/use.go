package local

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// account records what an attempt that is over had of its queue, and gives its user's use as it now is. after is the
// job as it then stands.
func (p *Place) account(tx *store.Tx, was, after nexus.Job, at time.Time) (nexus.QueueUse, error) {
	u, err := tx.Use(was.Spec.Queue, was.User)
	if err != nil {
		return u, err
	}
	gpus, cpus := p.holds(was)
	u = policy.Used(u, gpus, cpus, was.Started, at, policy.HalfLife)
	if err := tx.PutUse(u); err != nil {
		return u, err
	}
	for _, h := range hours(was, after.Phase.Over(), gpus, cpus, was.Started, at) {
		if err := tx.AddHad(h); err != nil {
			return u, err
		}
	}
	return u, nil
}

// holds is how many thousandths of a GPU and of a cpu a live job has. A share counts by its part of the device's
// memory.
func (p *Place) holds(job nexus.Job) (gpus, cpus int64) {
	seat := seatOf(job)
	if seat == nil {
		return 0, 0
	}
	gpus, cpus = 1000*int64(len(seat.GPUs)), int64(seat.CPU)
	if seat.Share > 0 && len(seat.GPUs) > 0 {
		for _, d := range p.view.machine().GPUs {
			if d.UUID == seat.GPUs[0].UUID && d.Usable() > 0 {
				gpus = min(1000, (1000*int64(seat.Share)+int64(d.Usable())-1)/int64(d.Usable()))
			}
		}
	}
	return gpus, cpus
}

// mostHours is how far back one attempt is told by the hour: 90 days.
const mostHours = 90 * 24

// hours tells what a job had, hour by hour.
func hours(job nexus.Job, over bool, gpus, cpus int64, from, to time.Time) []store.Had {
	first, last := from.Unix()/3600, to.Unix()/3600
	first = max(first, last-mostHours)
	list := make([]store.Had, 0, last-first+1)
	for hour := first; hour <= last; hour++ {
		begin, end := time.Unix(hour*3600, 0), time.Unix((hour+1)*3600, 0)
		if from.After(begin) {
			begin = from
		}
		if to.Before(end) {
			end = to
		}
		ms := max(0, end.Sub(begin).Milliseconds())
		list = append(list, store.Had{Hour: hour, Queue: job.Spec.Queue, User: job.User, GPUTime: gpus * ms, CPUTime: cpus * ms})
	}
	if len(list) == 0 {
		return nil
	}
	list[0].Attempts = 1
	if job.Attempt == 1 { // later ones waited as well, but nobody noted since when
		list[0].Waited = max(0, from.Sub(job.Submitted))
	}
	if over {
		list[len(list)-1].Jobs = 1
	}
	return list
}

// History tells what was had since a time, to the hour, what still runs included: by queue, by user, or by both.
func (p *Place) History(ctx context.Context, by string, since time.Time) ([]nexus.QueueHistory, error) {
	now := p.Now()
	had, err := p.store.History(ctx, since.Unix()/3600)
	if err != nil {
		return nil, err
	}
	for _, r := range p.view.records() {
		if r.Job.Placement == nil {
			continue
		}
		from := r.Job.Started
		if since.After(from) {
			from = since
		}
		gpus, cpus := p.holds(r.Job)
		had = append(had, hours(r.Job, true, gpus, cpus, from, now)...)
	}
	queues := p.view.allQueues()
	totals := map[userOf]*total{}
	for _, h := range had {
		key := userOf{h.Queue, h.User}
		switch by {
		case "queue":
			key.user = ""
		case "user":
			key.queue = ""
		}
		t := totals[key]
		if t == nil {
			t = &total{QueueHistory: nexus.QueueHistory{Queue: key.queue, User: key.user}}
			totals[key] = t
		}
		t.add(h, priceOf(queues, h.Queue))
	}
	list := []nexus.QueueHistory{}
	for _, t := range totals {
		list = append(list, t.rounded())
	}
	slices.SortFunc(list, func(a, b nexus.QueueHistory) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.User, b.User))
	})
	return list, nil
}

// total adds up before it rounds.
type total struct {
	nexus.QueueHistory
	gpu, cpu int64 // milliseconds of thousandths
	waited   time.Duration
	price    map[nexus.Money]int64 // by price, what it is the price of
}

func (t *total) add(h store.Had, price nexus.Money) {
	t.gpu, t.cpu, t.waited = t.gpu+h.GPUTime, t.cpu+h.CPUTime, t.waited+h.Waited
	t.Jobs, t.Attempts = t.Jobs+h.Jobs, t.Attempts+h.Attempts
	if t.price == nil {
		t.price = map[nexus.Money]int64{}
	}
	t.price[price] += h.GPUTime
}

func (t *total) rounded() nexus.QueueHistory {
	t.GPUSeconds, t.CPUSeconds, t.WaitSeconds = t.gpu/1_000_000, t.cpu/1_000_000, int64(t.waited/time.Second)
	for _, price := range slices.Sorted(maps.Keys(t.price)) {
		t.Price += nexus.Money(int64(price) * (t.price[price] / 1_000_000) / 3600)
	}
	return t.QueueHistory
}

// priceOf is a GPU-hour's price in a queue: its own, else that of the nearest above it.
func priceOf(queues []nexus.Queue, name string) nexus.Money {
	for range queues {
		i := slices.IndexFunc(queues, func(q nexus.Queue) bool { return q.Name == name })
		if i < 0 || queues[i].PricePerGPUHour > 0 {
			if i < 0 {
				return 0
			}
			return queues[i].PricePerGPUHour
		}
		name = queues[i].Parent
	}
	return 0
}
