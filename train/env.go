package train

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Env is what the launcher told this process through environment variables.
type Env struct {
	Source    string // who told: "nexus or torchrun", "Kubernetes", "Slurm", "Open MPI", "MPI", or "" for one process
	Rank      int    // from 0
	WorldSize int
	LocalRank int // from 0, on this machine
	// LocalWorldSize is the number of ranks on this machine; 0 where the launcher does not say.
	LocalWorldSize int
	MasterAddr     string // where the key-value store is; empty for one process
	MasterPort     int
	// StoreServed says that the launcher serves the store; otherwise rank 0 does.
	StoreServed bool
	RunID       string
	Job         string // id of the nexus job, else empty
	Attempt     int    // of the job, from 1; 0 outside nexus
	AttemptName string // NEXUS_ATTEMPT as it is: "<job id>/<attempt>"
	Round       int    // how often the launcher has restarted the ranks of this attempt
	// ProgressFile, AckFile, StackFile and ErrorFile are where the launcher wants to be told things; empty where it does not.
	ProgressFile, AckFile, StackFile, ErrorFile string
}

// defaultPort is PyTorch's for the store.
const defaultPort = 29500

// scheme is how one kind of launcher names things.
type scheme struct {
	source                string
	rank, size            []string // the first that is set counts
	localRank, localWorld []string
}

// schemes are asked in this order: what was started last, inside of the others, comes first.
func schemes() []scheme {
	return []scheme{
		{"nexus or torchrun", []string{"RANK"}, []string{"WORLD_SIZE"}, []string{"LOCAL_RANK"}, []string{"LOCAL_WORLD_SIZE"}},
		{"Open MPI", []string{"OMPI_COMM_WORLD_RANK"}, []string{"OMPI_COMM_WORLD_SIZE"},
			[]string{"OMPI_COMM_WORLD_LOCAL_RANK"}, []string{"OMPI_COMM_WORLD_LOCAL_SIZE"}},
		{"MPI", []string{"PMI_RANK"}, []string{"PMI_SIZE"},
			[]string{"MPI_LOCALRANKID", "PMI_LOCAL_RANK"}, []string{"MPI_LOCALNRANKS", "PMI_LOCAL_SIZE"}},
		{"Slurm", []string{"SLURM_PROCID"}, []string{"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}, []string{"SLURM_LOCALID"}, nil},
		{"Kubernetes", []string{"JOB_COMPLETION_INDEX"}, []string{"WORLD_SIZE"}, nil, nil},
	}
}

// FromEnv reads the environment of the known launchers through getenv, usually os.Getenv. Values that contradict each
// other or make no sense give one error that lists them all.
func FromEnv(getenv func(string) string) (Env, error) {
	r := &envReader{getenv: getenv}
	env := r.ranks()
	r.master(&env)
	r.identity(&env)
	env.ProgressFile, env.AckFile = getenv("NEXUS_PROGRESS_FILE"), getenv("NEXUS_ACK_FILE")
	env.StackFile, env.ErrorFile = getenv("NEXUS_STACK_FILE"), getenv("TORCHELASTIC_ERROR_FILE")
	if len(r.wrong) > 0 {
		return Env{}, errors.New("reading the launcher's environment: " + strings.Join(r.wrong, "; "))
	}
	return env, nil
}

// envReader collects what is wrong instead of stopping at the first.
type envReader struct {
	getenv func(string) string
	wrong  []string
}

func (r *envReader) complain(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// number reads the first of names that is set.
func (r *envReader) number(names []string, least int) (value int, name string) {
	for _, name := range names {
		text := r.getenv(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > 1<<24 {
			r.complain("%s=%q is not a number from %d up", name, text, least)
			return least, name
		}
		return n, name
	}
	return 0, ""
}

// ranks finds the launcher and reads rank and sizes.
func (r *envReader) ranks() Env {
	for _, s := range schemes() {
		rank, rankName := r.number(s.rank, 0)
		if rankName == "" {
			continue
		}
		env := Env{Source: s.source, Rank: rank}
		var sizeName string
		if env.WorldSize, sizeName = r.number(s.size, 1); sizeName == "" {
			r.complain("%s is set, %s is not", rankName, s.size[0])
			return env
		}
		if rank >= env.WorldSize {
			r.complain("%s=%d is not below %s=%d", rankName, rank, sizeName, env.WorldSize)
		}
		r.local(&env, s)
		r.compare(env, rankName, s)
		return env
	}
	if size, name := r.number([]string{"WORLD_SIZE"}, 1); size > 1 {
		r.complain("%s=%d is set, RANK is not", name, size)
	}
	return Env{WorldSize: 1, LocalWorldSize: 1}
}

// local reads the place on this machine.
func (r *envReader) local(env *Env, s scheme) {
	var rankName, sizeName string
	env.LocalRank, rankName = r.number(s.localRank, 0)
	env.LocalWorldSize, sizeName = r.number(s.localWorld, 1)
	if sizeName != "" && env.LocalWorldSize > env.WorldSize {
		r.complain("%s=%d is more than the world size %d", sizeName, env.LocalWorldSize, env.WorldSize)
	}
	if rankName == "" && sizeName != "" {
		env.LocalRank = env.Rank % env.LocalWorldSize
	}
	most := env.WorldSize
	if sizeName != "" {
		most = env.LocalWorldSize
	}
	if rankName != "" && env.LocalRank >= most {
		r.complain("%s=%d is not below the %d ranks there are", rankName, env.LocalRank, most)
	}
}

// compare looks at the other launchers' words. One that counts as many ranks speaks of the same ones, so the rank must
// be the same; another count is that of the nodes, say. An agent (nexus, torchrun) numbers the ranks itself.
func (r *envReader) compare(env Env, rankName string, own scheme) {
	agent := r.getenv("TORCHELASTIC_RUN_ID") != "" || r.getenv("GROUP_RANK") != ""
	if len(r.wrong) > 0 || agent {
		return
	}
	for _, s := range schemes() {
		if s.source == own.source || s.source == "Kubernetes" {
			continue
		}
		rank, name := r.number(s.rank, 0)
		size, sizeName := r.number(s.size, 1)
		if name != "" && sizeName != "" && size == env.WorldSize && rank != env.Rank {
			r.complain("%s=%d contradicts %s=%d", rankName, env.Rank, name, rank)
		}
	}
}

// master finds out where the store is.
func (r *envReader) master(env *Env) {
	if env.WorldSize <= 1 {
		return
	}
	env.MasterAddr = r.getenv("MASTER_ADDR")
	if env.MasterAddr == "" {
		env.MasterAddr = r.impliedMaster(*env)
	}
	if env.MasterAddr == "" {
		r.complain("MASTER_ADDR is not set, and %s does not tell where rank 0 is", env.Source)
	} else if host, _, err := net.SplitHostPort(env.MasterAddr); err == nil {
		r.complain("MASTER_ADDR=%q holds a port; set MASTER_ADDR=%s and MASTER_PORT", env.MasterAddr, host)
	}
	port, name := r.number([]string{"MASTER_PORT"}, 1)
	if name == "" {
		port = defaultPort
	}
	if port > 65535 {
		r.complain("MASTER_PORT=%d is no port", port)
	}
	env.MasterPort = port
	env.StoreServed = r.getenv("TORCHELASTIC_USE_AGENT_STORE") == "True"
}

// impliedMaster is where rank 0 is when nobody says: on this machine if all ranks are, else Slurm's first node.
func (r *envReader) impliedMaster(env Env) string {
	if env.LocalWorldSize == env.WorldSize {
		return "127.0.0.1"
	}
	if env.Source != "Slurm" {
		return ""
	}
	for _, name := range []string{"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"} {
		if list := r.getenv(name); list != "" {
			return firstHost(list)
		}
	}
	return ""
}

// firstHost returns the first name of a Slurm node list: "gpu[003-008,12],login" begins with gpu003.
func firstHost(list string) string {
	open := strings.IndexByte(list, '[')
	if comma := strings.IndexByte(list, ','); comma >= 0 && (open < 0 || comma < open) {
		return list[:comma]
	}
	if open < 0 {
		return list
	}
	first := list[open+1:]
	if end := strings.IndexAny(first, "-,]"); end >= 0 {
		first = first[:end]
	}
	tail := ""
	if shut := strings.IndexByte(list[open:], ']'); shut >= 0 {
		tail, _, _ = strings.Cut(list[open+shut+1:], ",")
	}
	return list[:open] + first + tail
}

// identity reads which try of which job this is.
func (r *envReader) identity(env *Env) {
	env.RunID = r.getenv("TORCHELASTIC_RUN_ID")
	env.Round, _ = r.number([]string{"NEXUS_ROUND", "TORCHELASTIC_RESTART_COUNT"}, 0)
	name := r.getenv("NEXUS_ATTEMPT")
	if name == "" {
		return
	}
	job, number, ok := cutLast(name, "/")
	attempt, err := strconv.Atoi(number)
	if !ok || job == "" || err != nil || attempt < 1 {
		r.complain("NEXUS_ATTEMPT=%q is not <job id>/<attempt>", name)
		return
	}
	env.AttemptName, env.Job, env.Attempt = name, job, attempt
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
