package local

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"slices"

	"ainexus.io/api"
	"ainexus.io/gpu"
	"ainexus.io/nexus"
)

// thisNode is this machine without its devices.
func thisNode(name string, cpus int) (nexus.Node, error) {
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nexus.Node{}, err
		}
		name = host
	}
	memory, err := memoryOfMachine()
	return nexus.Node{Name: name, State: nexus.Ready, CPU: nexus.CPU(cmp.Or(cpus, runtime.NumCPU())) * 1000, Memory: memory}, err
}

// Nodes gives this machine with its devices, asked now unless that was within the last second.
func (p *Place) Nodes(ctx context.Context) ([]api.NodeView, error) {
	if p.devices.source != nil {
		p.refresh(ctx)
	}
	sample, when := p.devices.sample(ctx, freshEnough)
	node := p.view.machine()
	v := api.NodeView{Node: node, Devices: []api.DeviceView{}}
	at := map[string]int{}
	for i, d := range sample.Devices {
		if i >= len(node.GPUs) {
			break
		}
		at[d.UUID] = i
		v.Devices = append(v.Devices, api.DeviceView{
			GPU: node.GPUs[i], UtilPercent: d.Utilisation, Used: nexus.MiB(d.UsedMiB), TemperatureC: d.TemperatureC,
			PowerMW: int64(d.PowerMilliwatts), PowerLimitMW: int64(d.PowerLimitMilliwatts), Sampled: when,
		})
	}
	if len(v.Devices) == 0 {
		v.NoGPU = sample.Reason
	}
	for _, r := range p.view.records() {
		seat := seatOf(r.Job)
		if seat == nil {
			continue
		}
		v.Jobs = append(v.Jobs, r.Job.ID)
		v.CPUUsed += seat.CPU
		v.MemoryUsed += seat.Memory
		for _, g := range seat.GPUs {
			if i, ok := at[g.UUID]; ok {
				d := &v.Devices[i]
				d.Jobs = append(d.Jobs, r.Job.ID)
				if seat.Share > 0 {
					d.Allocated += seat.Share
				} else {
					d.Allocated = d.Usable()
				}
			}
		}
	}
	slices.Sort(v.Jobs)
	for i := range v.Devices {
		slices.Sort(v.Devices[i].Jobs)
	}
	return []api.NodeView{v}, nil
}

// Sample gives the devices as they were seen within the last second.
func (p *Place) Sample(ctx context.Context) (gpu.Sample, error) {
	s, _ := p.devices.sample(ctx, freshEnough)
	return s, ctx.Err()
}

// Live gives the jobs that are not over, in no order.
func (p *Place) Live() []nexus.Job {
	records := p.view.records()
	jobs := make([]nexus.Job, len(records))
	for i, r := range records {
		jobs[i] = r.Job
	}
	return jobs
}
