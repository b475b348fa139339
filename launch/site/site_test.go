package site_test

import (
	"errors"
	"strings"
	"testing"

	"ainexus.io/launch/site"
)

// env reads "A=1 B=x(x2)" as variables; a value cannot hold a blank.
func env(text string) func(string) string {
	vars := map[string]string{}
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		vars[key] = value
	}
	return func(key string) string { return vars[key] }
}

// files are what lies on the machine, by path.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, errors.New("no such file")
	}
	return []byte(text), nil
}

// Environments as srun, sbatch, salloc, mpirun, mpiexec and the kubelet make them; OpenMPI's and MPICH's were recorded from them.
func TestWhereALauncherWasStarted(t *testing.T) {
	const srun = "SLURM_JOB_ID=77 SLURM_STEP_ID=3 SLURM_NNODES=2 SLURM_JOB_NODELIST=gpu[08-09] SLURM_NODEID=1 SLURM_PROCID=1 SLURM_LOCALID=0 SLURM_TASKS_PER_NODE=1(x2) "
	const hosts = "127.0.0.1 localhost\n10.0.0.7 gpt-1-2.gpt.ml.svc.cluster.local gpt-1-2\n"
	for _, test := range []struct {
		story, env, hostname string
		files                files
		want                 site.Site
	}{
		{story: "a machine by itself", want: site.Site{First: true}},
		{story: "srun", env: srun,
			want: site.Site{By: "SLURM", Nodes: 2, Rank: 1, Master: "gpu08", RunID: "slurm-77.3", Tasks: 1}},
		{story: "only what is asked for", env: "SLURM_NODEID=0 SLURM_NNODES=2 SLURM_JOB_NODELIST=a,b",
			want: site.Site{By: "SLURM", Nodes: 2, Master: "a", Tasks: 1, First: true}},
		{story: "a step on a part of the job", env: srun + "SLURM_STEP_NUM_NODES=1 SLURM_STEP_NODELIST=gpu09 SLURM_NODEID=0",
			want: site.Site{By: "SLURM", Nodes: 1, Master: "gpu09", RunID: "slurm-77.3", Tasks: 1}},
		{story: "four tasks on a node", env: srun + "SLURM_STEP_TASKS_PER_NODE=2,4 SLURM_LOCALID=3 SLURM_PROCID=5",
			want: site.Site{By: "SLURM", Nodes: 2, Rank: 1, Master: "gpu08", RunID: "slurm-77.3", Tasks: 4, Task: 3}},
		{story: "no count of nodes", env: "SLURM_NODEID=2 SLURM_PROCID=2 SLURM_JOB_NODELIST=n[1-3]",
			want: site.Site{By: "SLURM", Nodes: 3, Rank: 2, Master: "n1", Tasks: 1}},
		{story: "sbatch without srun", env: srun + "ENVIRONMENT=BATCH SLURM_NODEID=0",
			want: site.Site{First: true, Warning: "this SLURM job has 2 nodes"}},
		{story: "srun in sbatch", env: srun + "ENVIRONMENT=BATCH SLURM_STEP_NODELIST=gpu[08-09]",
			want: site.Site{By: "SLURM", Nodes: 2, Rank: 1, Master: "gpu08", RunID: "slurm-77.3", Tasks: 1}},
		{story: "the shell of salloc", env: "SLURM_JOB_ID=77 SLURM_NNODES=4 SLURM_JOB_NODELIST=gpu[1-4]",
			want: site.Site{First: true, Warning: "this SLURM job has 4 nodes"}},
		{story: "sbatch on one node", env: "SLURM_JOB_ID=77 SLURM_NNODES=1 SLURM_NODEID=0 ENVIRONMENT=BATCH", want: site.Site{First: true}},

		{story: "OpenMPI, a process on each node",
			env:  "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=1 PMIX_NAMESPACE=1670709249 OMPI_MCA_orte_hnp_uri=1670709248.0;tcp://192.0.2.2,10.0.0.2:43603;tcp6://[fd00::2]:46707",
			want: site.Site{By: "OpenMPI", Nodes: 2, Rank: 1, Master: "192.0.2.2", RunID: "mpi-1670709249", Tasks: 1}},
		{story: "OpenMPI within SLURM", env: srun + "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=1",
			want: site.Site{By: "OpenMPI", Nodes: 2, Master: "gpu08", Tasks: 1, First: true}},
		{story: "OpenMPI, two processes on the node",
			env:  "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2",
			want: site.Site{By: "OpenMPI", Nodes: 2, Rank: 1, Tasks: 2, Task: 1}},
		{story: "MPICH or Intel MPI under PBS", env: "PMI_RANK=0 PMI_SIZE=2 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=1 PBS_NODEFILE=/nodes PBS_JOBID=12.head",
			files: files{"/nodes": "n1\nn2\n"},
			want:  site.Site{By: "MPI", Nodes: 2, Master: "n1", RunID: "mpi-12.head", Tasks: 1, First: true}},
		{story: "LSF", env: "PMI_RANK=1 PMI_SIZE=2 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=1 LSB_HOSTS=n7",
			want: site.Site{By: "MPI", Nodes: 2, Rank: 1, Master: "n7", Tasks: 1}},
		{story: "MVAPICH, told where", env: "MV2_COMM_WORLD_RANK=1 MV2_COMM_WORLD_SIZE=2 MV2_COMM_WORLD_LOCAL_RANK=0 MV2_COMM_WORLD_LOCAL_SIZE=1 MASTER_ADDR=10.0.0.1",
			want: site.Site{By: "MVAPICH", Nodes: 2, Rank: 1, Master: "10.0.0.1", Tasks: 1}},
		{story: "PMI that does not say how many share a node", env: "PMI_RANK=1 PMI_SIZE=3",
			want: site.Site{By: "MPI", Nodes: 3, Rank: 1}},
		{story: "srun --mpi=pmi2 is srun", env: srun + "PMI_RANK=1 PMI_SIZE=2",
			want: site.Site{By: "SLURM", Nodes: 2, Rank: 1, Master: "gpu08", RunID: "slurm-77.3", Tasks: 1}},

		{story: "a pod of an indexed Job with a Service", env: "JOB_COMPLETION_INDEX=2 NEXUS_NODES=4", hostname: "gpt-1-2", files: files{"/etc/hosts": hosts},
			want: site.Site{By: "Kubernetes", Nodes: 4, Rank: 2, Master: "gpt-1-0.gpt.ml.svc.cluster.local", RunID: "job-gpt-1"}},
		{story: "one that was told its master", env: "JOB_COMPLETION_INDEX=0 NEXUS_NODES=4 MASTER_ADDR=gpt-1-0.gpt", hostname: "gpt-1-0", files: files{"/etc/hosts": hosts},
			want: site.Site{By: "Kubernetes", Nodes: 4, First: true, Master: "gpt-1-0.gpt", RunID: "job-gpt-1"}},
		{story: "one whose number nobody says", env: "JOB_COMPLETION_INDEX=2", hostname: "gpt-1-2",
			want: site.Site{By: "Kubernetes", Rank: 2, RunID: "job-gpt-1"}},
		{story: "one with a host name of its own", env: "JOB_COMPLETION_INDEX=2 NEXUS_NODES=4", hostname: "worker", files: files{"/etc/hosts": hosts},
			want: site.Site{By: "Kubernetes", Nodes: 4, Rank: 2}},
	} {
		got := site.Find(env(test.env), site.Facts{Hostname: test.hostname, ReadFile: test.files.read})
		if !strings.HasPrefix(got.Warning, test.want.Warning) || (got.Warning == "") != (test.want.Warning == "") {
			t.Errorf("%s: warns %q", test.story, got.Warning)
		}
		if got.Tasks > 1 && got.Remedy == "" {
			t.Errorf("%s: says not what to do", test.story)
		}
		got.Warning, got.Remedy, test.want.Warning = "", "", ""
		if got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.story, got, test.want)
		}
	}
}

func TestEnvironmentsThatContradictThemselves(t *testing.T) {
	for environment, want := range map[string]string{
		"SLURM_NODEID=x": `SLURM_NODEID is "x"`,
		"SLURM_NODEID=2 SLURM_NNODES=2 SLURM_JOB_NODELIST=a,b":                       "SLURM_NODEID is 2, but there are 2 nodes",
		"SLURM_NODEID=0 SLURM_NNODES=3 SLURM_JOB_NODELIST=a,b":                       "there are 3 nodes, but lists 2",
		"SLURM_NODEID=0 SLURM_NNODES=2 SLURM_JOB_NODELIST=a[1-":                      "does not close its bracket",
		"SLURM_NODEID=0 SLURM_NNODES=0":                                              "no number from 1 up",
		"SLURM_NODEID=0 SLURM_NNODES=1 SLURM_TASKS_PER_NODE=many":                    "tasks per node",
		"OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_SIZE=1": "OMPI_COMM_WORLD_RANK is 2, but",
		"JOB_COMPLETION_INDEX=4 NEXUS_NODES=4":                                       "JOB_COMPLETION_INDEX is 4, but NEXUS_NODES is 4",
		"JOB_COMPLETION_INDEX=-1":                                                    "no number from 0 up",
		"PMI_RANK=one PMI_SIZE=2":                                                    `PMI_RANK is "one"`,
	} {
		s := site.Find(env(environment), site.Facts{})
		if s.Problem == nil || !strings.Contains(s.Problem.Error(), want) {
			t.Errorf("%s: %v, want %q", environment, s.Problem, want)
		}
	}
}

func TestListsOfHosts(t *testing.T) {
	for list, want := range map[string]string{
		"login":                    "login",
		"a,b":                      "a b",
		"gpu[01-03,07],login":      "gpu01 gpu02 gpu03 gpu07 login",
		"n[8-11]":                  "n8 n9 n10 n11",
		"n[098-101]":               "n098 n099 n100 n101",
		"rack[1-2]n[0-1]-ib":       "rack1n0-ib rack1n1-ib rack2n0-ib rack2n1-ib",
		"127.0.0.[1-2]":            "127.0.0.1 127.0.0.2",
		"a[1].x.org,b-[3,5].y.org": "a1.x.org b-3.y.org b-5.y.org",
		"n[000000001]":             "n000000001",
		"a\n":                      "a",
	} {
		got, err := site.Hosts(list)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v %v, want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"", ",", "a[", "a[1", "a]1", "a[]", "a[1-]", "a[-1]", "a[2-1]", "a[1[2]]", "a[x]", "a[1-9999999999]", "a[0-65536]", "a[0-999999][0-9]", "a[1]]"} {
		if got, err := site.Hosts(list); err == nil {
			t.Errorf("%q was taken for %.80v", list, got)
		}
	}
}

// Whatever a variable holds, it is read in bounded time and memory, and what it names is names.
func FuzzHosts(f *testing.F) {
	for _, list := range []string{"gpu[01-03,07],login", "rack[1-2]n[0-1]-ib", "a[0-999999][0-9]", "[[", "a]b["} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		hosts, err := site.Hosts(list)
		if err == nil && (len(hosts) == 0 || len(hosts) > 1<<16) {
			t.Fatalf("%q: %d hosts", list, len(hosts))
		}
		for _, host := range hosts {
			if strings.ContainsAny(host, "[], \n\t") {
				t.Fatalf("%q: a host is %q", list, host)
			}
		}
	})
}
