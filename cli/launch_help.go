package cli

const launchHelp = `Launch workers, as torchrun does, without a daemon and without a job file: torchrun ARGS becomes nexus launch ARGS.

Usage:
  nexus launch [options] PROGRAM [arguments]

Exits with the code of the worker that failed first.

Workers
  --nproc-per-node N         workers of this node: a number, auto, cpu or gpu (1)
  --max-restarts N           restarts of all workers after one failed (0)
  -m, --module               PROGRAM is a Python module
  --run-path                 PROGRAM is a Python script, whatever its name
  --no-python                PROGRAM is run as it is
  --role NAME                name of the workers' role (default)
  --numa-binding HOW         node, socket, exclusive or core-complex: CPUs of each worker, its GPU's where that is known
  --shutdown-timeout S       seconds from TERM to KILL when the run is stopped (30)
  --signals-to-handle LIST   signals to take beside INT, TERM, USR1 and USR2 (SIGHUP,SIGQUIT)

Nodes
  --nnodes N, MIN:MAX        how many there are (1); with MIN:MAX they may come and go
  --rdzv-endpoint HOST:PORT  one of the nodes, where all meet (port 29400)
  --rdzv-id ID               id of the run, the same on all nodes (none)
  --rdzv-conf KEY=VALUE,...  last_call_timeout, join_timeout, takeover=any and others: docs/launch.md
  --node-rank N              which node this would like to be
  --master-addr HOST         where all meet, if there is no endpoint; on one node, the store's address (127.0.0.1)
  --master-port PORT         port of the key-value store (29500 if that is free)
  --local-addr HOST          address at which the others reach this node
  --standalone               one node, whatever SLURM and others say

Output
  --log-dir DIR              keep each worker's output in DIR/ID/attempt_N/RANK/{stdout.log,stderr.log,error.json}
  -r, --redirects STD        0 to 3, or RANK:STD,...: 1 stdout, 2 stderr, 3 both go to files only
  -t, --tee STD              the same, and shown
  --local-ranks-filter LIST  show only these local ranks
  --log-max-size SIZE        a log file is full then: 16MiB; 0: never (64MiB)
  --log-max-files N          how many are kept of each stream: stdout.log, stdout.log.1 and so on (2)

Accepted, and without effect
  --rdzv-backend             c10d and static are one here
  --monitor-interval         nothing is polled: the end of a worker is noticed at once
  --start-method             workers are programs of their own
  --event-log-handler, --logs-specs default, --use-env

What differs from torchrun, and why
  PROGRAM                    what is no Python (./mnist) runs without --no-python too: nobody means python ./mnist
  TERM, INT, HUP, QUIT       workers get TERM, then KILL after --shutdown-timeout, a second signal kills at once; under nohup HUP is ignored
  USR1, USR2                 are passed on to the workers: that is how schedulers announce the end
  other handled signals      are passed on, where torchrun would end the run
  the exit code              is that of the worker that failed first, 128 + N for signal N; torchrun's is 1
  --log-dir alone            keeps both streams and shows them; torchrun then writes nothing
  a failure                  is told in three lines with the last 20 lines of the rank that failed first, on every node
  shown lines                begin with "[rank N] " unless TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE says how, not [default0]:, teed or not
  --log-max-size, -files     are ours: torchrun's logs grow without bound
  OMP_NUM_THREADS            is this node's CPUs, or the cores that a worker is bound to, divided by the workers, not 1, and said;
                             where it is set it stays
  --rdzv-backend etcd        is refused: the nodes need no server beside themselves
  --rdzv-conf                of torchrun: timeouts as above; close_timeout, keep_alive_* and others are not needed
  --max-restarts             is one budget of the run, not one of each node
  the store                  is the launcher's in every round, so any worker may die first
  --virtual-local-rank, --duplicate-*-filters   are refused

Without --nnodes the launcher looks for who started it: srun (one task per node), mpirun or mpiexec (one process per node), or an
indexed Job of Kubernetes (NEXUS_NODES or PET_NNODES says how many). It says what it found.

Dashes and underscores are the same. PET_<OPTION> variables count where an option is not given: PET_NPROC_PER_NODE=4.
`
