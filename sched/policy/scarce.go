package policy

// scarcity is, for each model, which part of its devices jobs want that name their models: 1 where they
// want all of them or more. A job that can go elsewhere had better, there.
//
// A few jobs are believed in before any is seen, the same number for each model: small pools are dear
// until the mix tells otherwise.
func scarcity(mix []Demand, supply []Supply) (price [64]float64) {
	var devices [64]float64
	var all, jobs, models float64
	for i := range supply {
		n := float64(int64(supply[i].GPUs) * supply[i].Count)
		if n > 0 && devices[supply[i].Model&63] == 0 {
			models++
		}
		devices[supply[i].Model&63] += n
		all += n
	}
	for i := range mix {
		jobs += float64(mix[i].Count)
	}
	asked := deviceDemand(mix, supply)
	if asked == 0 || all == 0 {
		return price
	}
	mean := meanDevice(supply)
	var wanted [64]float64
	for i := range mix {
		d := &mix[i]
		var choice float64
		for m := range devices {
			if d.Models>>m&1 == 1 {
				choice += devices[m]
			}
		}
		for m := range devices {
			if d.Models>>m&1 == 1 && devices[m] > 0 {
				need := float64(d.Count) * (float64(d.GPUs) + float64(d.Share)/mean)
				wanted[m] += float64(need * (devices[m] / choice))
			}
		}
	}
	perJob := asked / jobs
	for m := range price {
		if devices[m] > 0 {
			wanted[m] += float64(perJob * (pseudoJobs / models))
			price[m] = min(1, wanted[m]/(asked+float64(perJob*pseudoJobs))*all/devices[m])
		}
	}
	return price
}
