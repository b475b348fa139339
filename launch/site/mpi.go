package site

import (
	"fmt"
	"strings"
)

// flavour is the variables of one MPI.
type flavour struct{ by, rank, size, localRank, localSize string }

// mpirun reads what mpirun or mpiexec set for each of their processes. They number processes, not nodes: which is the same where
// each node has one.
func mpirun(getenv func(string) string, facts Facts) (Site, error) {
	for _, f := range []flavour{
		{"OpenMPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
		{"MVAPICH", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"},
		{"MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"}, // MPICH and Intel MPI; the last two by their mpiexec only
	} {
		if getenv(f.rank) != "" && getenv(f.size) != "" && getenv(f.localSize) != "" {
			return f.find(getenv, facts)
		}
	}
	return Site{}, nil
}

// pmi reads what other starters of MPICH's kind set, who do not say how many processes a node has: one, then.
func pmi(getenv func(string) string, facts Facts) (Site, error) {
	if getenv("PMI_RANK") == "" || getenv("PMI_SIZE") == "" {
		return Site{}, nil
	}
	return flavour{by: "MPI", rank: "PMI_RANK", size: "PMI_SIZE"}.find(getenv, facts)
}

func (f flavour) find(getenv func(string) string, facts Facts) (Site, error) {
	s := Site{By: f.by, Remedy: "one process on each node (OpenMPI: mpirun --map-by ppr:1:node, MPICH and Intel MPI: mpiexec -ppn 1), and --nproc-per-node for its workers"}
	if err := numbers(getenv, map[string]*int{f.rank: &s.Rank, f.size: &s.Nodes, f.localRank: &s.Task, f.localSize: &s.Tasks}); err != nil {
		return Site{}, err
	}
	if s.Rank >= s.Nodes {
		return Site{}, fmt.Errorf("%s is %d, but %s is %d", f.rank, s.Rank, f.size, s.Nodes)
	}
	s.First = s.Rank == 0
	s.RunID = mpiRun(getenv)
	if s.Nodes > 1 {
		s.Master = mpiMaster(getenv, facts)
	}
	return s, nil
}

// mpiRun is an id that the processes of one mpirun share.
func mpiRun(getenv func(string) string) string {
	id := firstSet(getenv, "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
	if id == "" {
		return ""
	}
	return "mpi-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, id)
}

// mpiMaster is the first node's host: as somebody says, or as the batch system lists it. MPI itself tells nobody; where its
// mpirun runs is mostly the first node too.
func mpiMaster(getenv func(string) string, facts Facts) string {
	if host := getenv("MASTER_ADDR"); host != "" {
		return host
	}
	if hosts, err := Hosts(firstSet(getenv, "SLURM_JOB_NODELIST", "SLURM_NODELIST")); err == nil {
		return hosts[0]
	}
	for _, key := range []string{"PBS_NODEFILE", "LSB_DJOB_HOSTFILE", "PE_HOSTFILE"} {
		if words := strings.Fields(facts.read(getenv(key))); len(words) > 0 {
			return words[0]
		}
	}
	if words := strings.Fields(getenv("LSB_HOSTS")); len(words) > 0 {
		return words[0]
	}
	// "123.0;tcp://10.0.0.1,10.1.0.1:4567;tcp6://..."
	if _, uri, ok := strings.Cut(getenv("OMPI_MCA_orte_hnp_uri"), ";tcp://"); ok {
		return uri[:strings.IndexAny(uri+":", ",:;")]
	}
	return ""
}
