package train

import (
	"strings"
	"testing"
)

// vars reads "A=1 B=2".
func vars(text string) func(string) string {
	values := make(map[string]string)
	for _, pair := range strings.Fields(text) {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

// Every launcher is understood, and the innermost one counts.
func TestEnvironmentOfEachLauncher(t *testing.T) {
	for name, c := range map[string]struct {
		vars string
		want Env
	}{
		"nothing":      {"", Env{WorldSize: 1, LocalWorldSize: 1}},
		"one, said so": {"WORLD_SIZE=1", Env{WorldSize: 1, LocalWorldSize: 1}},
		"nexus": {
			"RANK=3 WORLD_SIZE=4 LOCAL_RANK=3 LOCAL_WORLD_SIZE=4 GROUP_RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=29501 " +
				"TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RUN_ID=r TORCHELASTIC_RESTART_COUNT=2 NEXUS_ATTEMPT=j7/5 " +
				"NEXUS_PROGRESS_FILE=/p NEXUS_ACK_FILE=/a TORCHELASTIC_ERROR_FILE=/e",
			Env{Source: "nexus or torchrun", Rank: 3, WorldSize: 4, LocalRank: 3, LocalWorldSize: 4, MasterAddr: "127.0.0.1",
				MasterPort: 29501, StoreServed: true, RunID: "r", Job: "j7", Attempt: 5, AttemptName: "j7/5", Round: 2,
				ProgressFile: "/p", AckFile: "/a", ErrorFile: "/e"},
		},
		"agent that numbers nodes in its own order": {
			"RANK=1 WORLD_SIZE=2 GROUP_RANK=1 MASTER_ADDR=a SLURM_PROCID=0 SLURM_NTASKS=2",
			Env{Source: "nexus or torchrun", Rank: 1, WorldSize: 2, MasterAddr: "a", MasterPort: 29500},
		},
		"store of its own": {
			"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h TORCHELASTIC_USE_AGENT_STORE=true",
			Env{Source: "nexus or torchrun", WorldSize: 2, MasterAddr: "h", MasterPort: 29500},
		},
		"Kubernetes": {
			"JOB_COMPLETION_INDEX=2 WORLD_SIZE=3 MASTER_ADDR=job-0.svc MASTER_PORT=29500",
			Env{Source: "Kubernetes", Rank: 2, WorldSize: 3, MasterAddr: "job-0.svc", MasterPort: 29500},
		},
		"torchrun inside Kubernetes": {
			"JOB_COMPLETION_INDEX=1 RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 LOCAL_WORLD_SIZE=4 MASTER_ADDR=x",
			Env{Source: "nexus or torchrun", Rank: 5, WorldSize: 8, LocalRank: 1, LocalWorldSize: 4, MasterAddr: "x", MasterPort: 29500},
		},
		"Slurm": {
			"SLURM_PROCID=9 SLURM_NTASKS=16 SLURM_LOCALID=1 SLURM_JOB_NODELIST=gpu[003-008,12],login",
			Env{Source: "Slurm", Rank: 9, WorldSize: 16, LocalRank: 1, MasterAddr: "gpu003", MasterPort: 29500},
		},
		"Slurm step smaller than its job": {
			"SLURM_PROCID=1 SLURM_NTASKS=16 SLURM_STEP_NUM_TASKS=2 SLURM_LOCALID=0 SLURM_NODELIST=a1,a2",
			Env{Source: "Slurm", Rank: 1, WorldSize: 2, MasterAddr: "a1", MasterPort: 29500},
		},
		"Open MPI on one machine": {
			"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2",
			Env{Source: "Open MPI", Rank: 1, WorldSize: 2, LocalRank: 1, LocalWorldSize: 2, MasterAddr: "127.0.0.1", MasterPort: 29500},
		},
		"Open MPI inside Slurm": {
			"OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 MASTER_ADDR=h SLURM_PROCID=0 SLURM_NTASKS=2",
			Env{Source: "Open MPI", Rank: 3, WorldSize: 4, MasterAddr: "h", MasterPort: 29500},
		},
		"MPICH": {
			"PMI_RANK=1 PMI_SIZE=4 MPI_LOCALRANKID=1 MPI_LOCALNRANKS=2 MASTER_ADDR=h MASTER_PORT=1234",
			Env{Source: "MPI", Rank: 1, WorldSize: 4, LocalRank: 1, LocalWorldSize: 2, MasterAddr: "h", MasterPort: 1234},
		},
	} {
		got, err := FromEnv(vars(c.vars))
		if err != nil || got != c.want {
			t.Errorf("%s:\n got  %+v (%v)\n want %+v", name, got, err, c.want)
		}
	}
}

// What makes no sense is one error that names the variables.
func TestBadEnvironment(t *testing.T) {
	for vars_, words := range map[string]string{
		"RANK=1":                                                            "RANK is set, WORLD_SIZE is not",
		"WORLD_SIZE=4":                                                      "WORLD_SIZE=4 is set, RANK is not",
		"RANK=4 WORLD_SIZE=4 MASTER_ADDR=h":                                 "RANK=4 is not below WORLD_SIZE=4",
		"RANK=x WORLD_SIZE=4 MASTER_ADDR=h":                                 `RANK="x" is not a number`,
		"RANK=-1 WORLD_SIZE=4 MASTER_ADDR=h":                                `RANK="-1" is not a number from 0 up`,
		"RANK=0 WORLD_SIZE=0":                                               `WORLD_SIZE="0" is not a number from 1 up`,
		"RANK=0 WORLD_SIZE=2":                                               "MASTER_ADDR is not set",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h:29500":                           "holds a port",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=http":                `MASTER_PORT="http"`,
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=70000":               "70000 is no port",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h LOCAL_RANK=2":                    "LOCAL_RANK=2",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h LOCAL_RANK=1 LOCAL_WORLD_SIZE=1": "LOCAL_RANK=1",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=h LOCAL_WORLD_SIZE=3":              "LOCAL_WORLD_SIZE=3 is more",
		"RANK=1 WORLD_SIZE=4 MASTER_ADDR=h OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4": "RANK=1 contradicts OMPI_COMM_WORLD_RANK=2",
		"JOB_COMPLETION_INDEX=0":        "JOB_COMPLETION_INDEX is set, WORLD_SIZE is not",
		"SLURM_PROCID=0 SLURM_NTASKS=2": "MASTER_ADDR is not set, and Slurm",
		"NEXUS_ATTEMPT=nonsense":        "NEXUS_ATTEMPT",
		"TORCHELASTIC_RESTART_COUNT=-2": "TORCHELASTIC_RESTART_COUNT",
	} {
		_, err := FromEnv(vars(vars_))
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v does not say %q", vars_, err, words)
		}
	}
	_, err := FromEnv(vars("RANK=7 WORLD_SIZE=4 MASTER_PORT=x"))
	for _, word := range []string{"RANK=7", "MASTER_PORT", "MASTER_ADDR"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not list %s: all that is wrong is told at once", err, word)
		}
	}
}

func TestFirstHostOfASlurmList(t *testing.T) {
	for list, want := range map[string]string{
		"n1": "n1", "n1,n2": "n1", "n[1-3]": "n1", "n[07,09]": "n07", "n[1-3].cluster": "n1.cluster",
		"a-[01-02]-ib,b": "a-01-ib", "login,n[1-2]": "login",
	} {
		if got := firstHost(list); got != want {
			t.Errorf("%s begins with %q, not %q", list, got, want)
		}
	}
}

// No environment makes it panic, and a good one names a rank that exists.
func FuzzFromEnv(f *testing.F) {
	f.Add("RANK", "1", "WORLD_SIZE", "2", "MASTER_ADDR", "h")
	f.Add("SLURM_PROCID", "0", "SLURM_NTASKS", "2", "SLURM_NODELIST", "n[1-")
	f.Add("NEXUS_ATTEMPT", "/", "OMPI_COMM_WORLD_RANK", "9", "OMPI_COMM_WORLD_SIZE", "-")
	f.Fuzz(func(t *testing.T, a, x, b, y, c, z string) {
		values := map[string]string{a: x, b: y, c: z}
		env, err := FromEnv(func(name string) string { return values[name] })
		if err == nil && (env.Rank < 0 || env.Rank >= env.WorldSize) {
			t.Errorf("%v is rank %d of %d", values, env.Rank, env.WorldSize)
		}
	})
}
