package launch

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ainexus.io/attempt"
	"ainexus.io/launch/fabric"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// seatEnv is what every process of the attempt gets on top of base: setup too, in every round.
func seatEnv(o nexus.Order, base map[string]string, bare bool) map[string]string {
	env := maps.Clone(base)
	env["NEXUS_JOB"] = o.Job
	env[proc.EnvAttempt] = attempt.Name(o.Job, o.Attempt)
	env["NEXUS_NODE"] = o.Seat.Node
	if !bare { // a bare launch leaves the devices as it finds them, and no job id joins its runs
		env["CUDA_VISIBLE_DEVICES"] = devices(o.Seat.GPUs)
		unlessSet(env, "WANDB_RUN_ID", o.Job)
		unlessSet(env, "WANDB_RESUME", "allow")
	}
	if m := o.Member; m != nil {
		env["NEXUS_ARRAY_ID"] = m.Array
		env["NEXUS_ARRAY_INDEX"] = strconv.Itoa(m.Index)
		env["NEXUS_ARRAY_SIZE"] = strconv.Itoa(m.Size)
	}
	if o.Seat.Share > 0 {
		env["NEXUS_GPU_MEMORY_MIB"] = strconv.FormatInt(int64(o.Seat.Share), 10)
	}
	if o.Spec.Checkpoint != nil {
		env["NEXUS_CHECKPOINT_PATH"] = below(o.Workdir, o.Spec.Checkpoint.Path)
	}
	unlessSet(env, "PYTHONUNBUFFERED", "1") // a pipe is no terminal: lines would come late, the last ones never
	return env
}

// roundFacts are what a round adds to an order.
type roundFacts struct {
	number    int
	place     place
	role      string
	runID     string
	dir       attempt.Dir
	threads   []int // of each worker that is bound to CPUs; nil: its part of the seat's
	errorFile func(rank int) string
	nccl      []fabric.Setting
}

// ncclSettings are what NCCL has to be told on this node, of which files is the root. Workers who see no GPU are told no
// more than the interface.
func ncclSettings(files fs.FS, env map[string]string, device string) []fabric.Setting {
	return fabric.Settings(fabric.ReadForWorkers(files, env).Over(device, "the way to the other nodes"))
}

// workerEnv is the environment of one worker of this node, by local rank: torchrun's variables and ours.
func workerEnv(o nexus.Order, seat map[string]string, r roundFacts, rank int) []string {
	env := maps.Clone(seat)
	p := r.place
	world, here := strconv.Itoa(p.world), strconv.Itoa(o.Seat.Workers)
	own := strconv.Itoa(p.first + rank)
	for key, value := range map[string]string{
		"RANK": own, "LOCAL_RANK": strconv.Itoa(rank), "ROLE_RANK": own,
		"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": here, "ROLE_WORLD_SIZE": world,
		"GROUP_RANK": strconv.Itoa(p.group), "GROUP_WORLD_SIZE": strconv.Itoa(p.groups), "ROLE_NAME": r.role,
		"MASTER_ADDR": p.addr, "MASTER_PORT": strconv.Itoa(p.port),
		"TORCHELASTIC_RUN_ID":          r.runID,
		"TORCHELASTIC_RESTART_COUNT":   strconv.Itoa(r.number),
		"TORCHELASTIC_MAX_RESTARTS":    strconv.Itoa(o.RestartsLeft),
		"TORCHELASTIC_USE_AGENT_STORE": "True", // exactly so
		"TORCHELASTIC_ERROR_FILE":      r.errorFile(rank),
		"NEXUS_ROUND":                  strconv.Itoa(r.number),
		"NEXUS_ACK_FILE":               r.dir.AckFile(),
		"NEXUS_PROGRESS_FILE":          r.dir.ProgressFile(rank),
		"NEXUS_STACK_FILE":             r.dir.StackFile(r.number, rank),
	} {
		env[key] = value
	}
	share := threads(o.Seat)
	if r.threads != nil {
		share = r.threads[rank]
	}
	unlessSet(env, "OMP_NUM_THREADS", strconv.Itoa(share))
	if p.device != "" {
		unlessSet(env, "GLOO_SOCKET_IFNAME", p.device)
		unlessSet(env, "TP_SOCKET_IFNAME", p.device)
	}
	for _, s := range r.nccl {
		unlessSet(env, s.Name, s.Value)
	}
	return list(env)
}

// devices names the seat's GPUs as CUDA wants to hear it: by UUID where there is one.
func devices(gpus []nexus.SeatGPU) string {
	names := make([]string, len(gpus))
	for i, g := range gpus {
		names[i] = g.UUID
		if names[i] == "" {
			names[i] = strconv.Itoa(g.Index)
		}
	}
	return strings.Join(names, ",")
}

func unlessSet(env map[string]string, key, value string) {
	if _, set := env[key]; !set {
		env[key] = value
	}
}

// list writes an environment as exec takes it, in order.
func list(env map[string]string) []string {
	lines := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, key+"="+env[key])
	}
	return lines
}

func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
