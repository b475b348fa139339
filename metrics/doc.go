// Package metrics is what Prometheus sees. Prometheus stays in here: others hand over plain numbers.
//
// A [Registry] is told of what happens ([Registry.Cycle], [Registry.Started], [Registry.Ended]) and asks a [Source] for
// what is, once per scrape. Names are in base units. Hardware series carry the device's uuid alone; which job holds a
// device is the join series nexus_job_gpu_info, so that a job that ends leaves no stale hardware series behind:
//
//	nexus_gpu_utilization_ratio * on (uuid) group_left (job)
//	  label_replace(nexus_job_gpu_info, "uuid", "$1", "gpu_uuid", "(.*)")
//
// A reading that the driver did not give has no sample. Where the numbers come from is left to the place.
package metrics
