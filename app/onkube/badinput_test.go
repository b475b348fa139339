package onkube

import (
	"fmt"
	"strings"

	"ainexus.io/nexus"
)

// badNumbers are amounts and counts that make no sense, and the field that the API server names when it refuses them.
var badNumbers = []struct{ spec, want string }{
	{"resources: {gpu_memory: -5}", "spec.resources.gpu_memory"},
	{"resources: {gpu_memory: 0}", "spec.resources.gpu_memory"},
	{"resources: {gpu_memory: -40GiB}", "spec.resources.gpu_memory"},
	{"resources: {gpus: 1, gpu_memory: -1}", "spec.resources.gpu_memory"},
	{"resources: {gpu_memory: 0GiB}", "spec.resources.gpu_memory"},
	{"resources: {gpu_memory: 9223372036854775807}", "spec.resources.gpu_memory"},
	{"resources: {gpus: -1}", "spec.resources.gpus"},
	{"resources: {gpus: 4097}", "spec.resources.gpus"},
	{"resources: {gpus: '9999'}", "spec.resources.gpus"},
	{"resources: {gpus: 9223372036854775807}", "spec.resources.gpus"},
	{"resources: {gpus: 99999999999999999999}", "spec.resources.gpus"},
	{"resources: {gpus: 1.5}", "spec.resources.gpus"},
	{"resources: {shm: -1}", "spec.resources.shm"},
	{"resources: {shm: -8GiB}", "spec.resources.shm"},
	{"resources: {shm: 0}", "spec.resources.shm"},
	{"resources: {shm: lots}", "spec.resources.shm"},
	{"resources: {memory: 0}", "spec.resources.memory"},
	{"resources: {memory: 0MiB}", "spec.resources.memory"},
	{"resources: {memory: -5GiB}", "spec.resources.memory"},
	{"resources: {cpu: -1}", "spec.resources.cpu"},
	{"resources: {cpu: '-500m'}", "spec.resources.cpu"},
	{"resources: {cpu: lots}", "spec.resources.cpu"},
	{"resources: {cpu: [1]}", "spec.resources.cpu"},
	{"workers: 0", "spec.workers"},
	{"workers: -2", "spec.workers"},
	{"workers: 4097", "spec.workers"},
	{"workers: 99999999999999999999", "spec.workers"},
	{"nodes: 0", "spec.nodes"},
	{"nodes: -2", "spec.nodes"},
	{"nodes: 16385", "spec.nodes"},
	{"nodes: '99999'", "spec.nodes"},
	{"nodes: 9223372036854775807", "spec.nodes"},
	{"nodes: 0..4", "spec.nodes"},
	{"nodes: 4..2", "spec.nodes"},
	{"max_duration: -1h", "spec.max_duration"},
	{"max_duration: -5", "spec.max_duration"},
	{"time_limit: -1h", "spec.time_limit"},
	{"no_progress: -5m", "spec.no_progress"},
	{"checkpoint: {path: c, grace: -1s}", "spec.checkpoint.grace"},
	{"restart: {max: -1}", "spec.restart.max"},
	{"restart: {max: 1001}", "spec.restart.max"},
	{"restart: {max: 1, 'on': [oom], grow: -1}", "spec.restart.grow"},
	{"prefer_gpus: [-1]", "spec.prefer_gpus"},
	{"workers: 2, resources: {gpu_memory: 4GiB}", "spec.workers"},
}

// badInput: what can never run is refused by the API server with the field's path, or waits with a reason that names the limit.
func badInput(c cluster) {
	for _, bad := range badNumbers {
		c.refused("run: x, "+bad.spec, bad.want)
	}
	for i, held := range []struct{ spec, reason, want string }{
		{"queue: nowhere", "Queue", "spec.queue: there is no NexusQueue nowhere"},
		{"resources: {gpus: 1, gpu_memory: 99999999999999999999GiB}", "Invalid", "spec.resources.gpu_memory"},
		{"resources: {gpus: 9}", "Unfit", "8"},
		{"resources: {gpus: 1, gpu_memory: 100GiB}", "Unfit", "spec.resources.gpu_memory: the largest GPU that there is has 81559MiB"},
		{"resources: {gpus: 1, gpu_memory: 8000TiB}", "Unfit", "spec.resources.gpu_memory: the largest GPU that there is has 81559MiB"},
		{"resources: {gpus: 1, gpu_model: [H900]}", "Unfit", "spec.resources.gpu_model: no node has H900; there are NVIDIA H100 80GB HBM3"},
		{"nodes: 3, resources: {gpus: 1}", "Unfit", "2"},
		{"resources: {cpu: 65}", "Unfit", "64"},
		{"resources: {memory: 513GiB}", "Unfit", "512"},
		{"resources: {gpus: 1, mig: 1g.10gb}", "Unfit", "spec.resources.mig: no node has slices 1g.10gb"},
		{"resources: {gpu_memory: 10GiB}", "Invalid", "spec.resources.gpu_memory: this cluster cannot share GPUs"},
	} {
		name := fmt.Sprint("held-", i)
		c.document("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: " + name + "}\nspec: {run: x, " + held.spec + "}\n")
		o := c.until(name, "told why it waits", func(o object) bool { return o.Status.Phase == nexus.Pending && o.Status.Reason != "" })
		if o.Status.Reason != held.reason || !strings.Contains(o.Status.Message, held.want) {
			c.t.Errorf("%s: it waits for %s: %s", held.spec, o.Status.Reason, o.Status.Message)
		}
	}
}
