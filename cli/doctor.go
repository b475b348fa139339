package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"ainexus.io/app"
	"ainexus.io/gpu"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// finding is one line of the doctor: what was looked at, how it is, and what to do about it.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, warn or fail
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

func (p *program) doctorCommand() *cobra.Command {
	var nccl, export, gang bool
	var peers []string
	var meet gangFlags
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at this machine and say what may be in the way of jobs", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			switch {
			case !nccl && (export || len(peers) > 0):
				return usage(cmd, "--export and --peer belong to --nccl")
			case !gang && (meet != gangFlags{}):
				return usage(cmd, "--nnodes, --rdzv-*, --node-rank, --local-addr and --limit belong to --gang")
			case gang && nccl:
				return usage(cmd, "--gang and --nccl are two questions")
			case gang:
				return p.gang(ctx, meet)
			case nccl:
				return p.nccl(ctx, os.DirFS("/"), peers, export)
			}
			return p.report(p.examine(ctx))
		},
	}
	cmd.Flags().BoolVar(&nccl, "nccl", false, "show what NCCL has to be told on this node, and why")
	cmd.Flags().StringSliceVar(&peers, "peer", nil, "with --nccl: the other nodes, whose network is the one to take (default: the default route's)")
	cmd.Flags().BoolVar(&export, "export", false, "with --nccl: print the settings for a shell, as in eval \"$(nexus doctor --nccl --export)\"")
	cmd.Flags().BoolVar(&gang, "gang", false, "check what lies between the nodes of a gang; the same line on each node")
	cmd.Flags().StringVar(&meet.nnodes, "nnodes", "", "with --gang: how many nodes there are")
	cmd.Flags().StringVar(&meet.endpoint, "rdzv-endpoint", "", "with --gang: HOST[:PORT] of one of the nodes, where all meet")
	cmd.Flags().StringVar(&meet.id, "rdzv-id", "", "with --gang: the same on all nodes")
	cmd.Flags().StringVar(&meet.conf, "rdzv-conf", "", "with --gang: as nexus launch takes it")
	cmd.Flags().StringVar(&meet.rank, "node-rank", "", "with --gang: which node this is")
	cmd.Flags().StringVar(&meet.local, "local-addr", "", "with --gang: the address at which the others reach this node")
	cmd.Flags().DurationVar(&meet.limit, "limit", 0, "with --gang: when a silent node is given up, in each step (default 30s)")
	p.outputFlag(cmd, "json", "yaml")
	return cmd
}

func (p *program) report(findings []finding) error {
	failed, width := 0, 0
	for _, f := range findings {
		width = max(width, len(f.Check))
		if f.State == "fail" {
			failed++
		}
	}
	ok, err := p.document(findings)
	for _, f := range findings {
		if ok || err != nil {
			break
		}
		fmt.Fprintf(p.out, "%-4s  %-*s  %s\n", f.State, width, f.Check, clean(f.Text))
		if f.Hint != "" {
			fmt.Fprintf(p.out, "      %-*s  hint: %s\n", width, "", clean(f.Hint))
		}
	}
	if err == nil && failed > 0 {
		return &exit{code: exitError}
	}
	return err
}

// examine makes all checks, in the order in which a job meets what they look at.
func (p *program) examine(ctx context.Context) []finding {
	return []finding{
		p.examineState(), p.examineDaemon(ctx), p.examinePort(ctx), p.examineGPUs(ctx), examineCgroups(),
		p.examinePython(ctx), examineLimits(), examineShm(),
	}
}

func (p *program) examineState() finding {
	f := finding{Check: "state", State: "fail"}
	dir, err := p.stateDir()
	if err != nil {
		f.Text, f.Hint = err.Error(), "set NEXUS_STATE to a directory of your own"
		return f
	}
	if len(filepath.Join(dir, app.SocketName)) > 103 {
		f.Text, f.Hint = "the path "+dir+" is too long for a socket", "set NEXUS_STATE to a shorter one"
		return f
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{"state", "ok", dir + " (not there yet: the first daemon makes it)", ""}
	case err != nil:
		f.Text = err.Error()
		return f
	case !info.IsDir():
		f.Text, f.Hint = dir+" is no directory", "set NEXUS_STATE to another"
		return f
	case unix.Access(dir, unix.W_OK) != nil:
		f.Text, f.Hint = dir+" cannot be written to", "chown it to yourself, or set NEXUS_STATE to another"
		return f
	case info.Mode().Perm()&0o077 != 0:
		return finding{"state", "warn", dir + " can be read by other users", "chmod 700 " + dir}
	}
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) == nil {
		free := uint64(disk.Bavail) * uint64(disk.Bsize) >> 20
		if free < 256 {
			return finding{"state", "warn", fmt.Sprintf("%s has %d MiB free", dir, free), "make room: records and logs are kept there"}
		}
	}
	return finding{"state", "ok", dir, ""}
}

func (p *program) examineDaemon(ctx context.Context) finding {
	client, err := p.client()
	if err != nil {
		return finding{"daemon", "fail", err.Error(), ""}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, err := client.Version(ctx)
	switch {
	case unavailable(err):
		return finding{"daemon", "ok", "none runs; nexus run and nexus submit start one", ""}
	case err != nil:
		return finding{"daemon", "fail", err.Error(), ""}
	case v.Version != release():
		return finding{"daemon", "warn", "version " + v.Version + " runs, this program is " + release(), "end it when no job needs you, and start this one: nexus up"}
	}
	return finding{"daemon", "ok", fmt.Sprintf("version %s, process %d, for %s", v.Version, v.PID, span(time.Since(v.Started))), ""}
}

func (p *program) examinePort(ctx context.Context) finding {
	if client, err := p.client(); err == nil {
		if v, err := client.Version(ctx); err == nil {
			if v.Addr == "" {
				return finding{"port", "warn", "the daemon serves no page: its port was taken", "nexus up --listen 127.0.0.1:8001"}
			}
			return finding{"port", "ok", "the page is at http://" + v.Addr, ""}
		}
	}
	l, err := net.Listen("tcp", app.DefaultListen)
	if err != nil {
		return finding{"port", "warn", app.DefaultListen + " is taken: a daemon would serve no page", "nexus up --listen 127.0.0.1:8001"}
	}
	l.Close()
	return finding{"port", "ok", app.DefaultListen + " is free", ""}
}

func (p *program) examineGPUs(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	sample, err := gpu.Read(ctx, gpu.Options{Library: p.getenv("NVML_LIBRARY"), Child: ownArgv(verbSampler)})
	if err != nil {
		return finding{"gpus", "fail", err.Error(), ""}
	}
	if len(sample.Devices) == 0 {
		if sample.Broken {
			return finding{"gpus", "fail", sample.Reason, "does nvidia-smi work?"}
		}
		return finding{"gpus", "ok", "none: " + sample.Reason, ""}
	}
	var words []string
	state := "ok"
	for _, d := range sample.Devices {
		text := fmt.Sprintf("%d %s %s", d.Index, d.Model, nexus.MiB(d.MemoryMiB))
		if d.Problem != "" {
			text, state = text+" ("+d.Problem+")", "warn"
		}
		words = append(words, text)
	}
	return finding{"gpus", state, fmt.Sprintf("driver %s: %s", sample.Driver, strings.Join(words, ", ")), ""}
}

// examineCgroups says whether limits on memory and processor time can hold. It asks as an agent does: it makes a cgroup
// with both limits, and gives it up again.
func examineCgroups() finding {
	limits := proc.Limits{Memory: 1 << 30, CPU: 500}
	group, notes := proc.NewCgroup(fmt.Sprint("doctor/", os.Getpid()), limits)
	defer group.Remove()
	hint := ""
	if runtime.GOOS == "linux" {
		hint = "start the daemon with: systemd-run --user --scope -p Delegate=yes nexus up"
	}
	switch {
	case group == nil && len(notes) == 0:
		return finding{"cgroups", "warn", "limits on memory and cpu do not hold, and jobs are ended process by process", hint}
	case len(notes) > 0:
		return finding{"cgroups", "warn", strings.Join(notes, "; "), hint}
	}
	return finding{"cgroups", "ok", "limits on memory and cpu hold", ""}
}

// examinePython looks for what most training scripts need.
func (p *program) examinePython(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "-c", "import torch; print(torch.__version__, torch.cuda.is_available())").Output()
		if err == nil {
			version, cuda, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
			return finding{"python", "ok", fmt.Sprintf("%s has torch %s, CUDA available: %s", path, version, cuda), ""}
		}
	}
	return finding{"python", "warn", "no python3 here can import torch: jobs in PyTorch need one on their PATH",
		"activate the environment that has it before nexus submit, or apt-get install python3-torch"}
}

func examineLimits() finding {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return finding{"limits", "warn", err.Error(), ""}
	}
	if files.Max < 4096 {
		return finding{"limits", "warn", fmt.Sprintf("at most %d open files", files.Max), "ulimit -n 65536, or LimitNOFILE= in the unit"}
	}
	return finding{"limits", "ok", fmt.Sprintf("%d open files", files.Max), ""}
}

// examineShm looks at what DataLoader workers pass batches through.
func examineShm() finding {
	if runtime.GOOS != "linux" {
		return finding{"shm", "ok", "not used on this system", ""}
	}
	size, err := shmMiB()
	if err != nil {
		return finding{"shm", "warn", "/dev/shm: " + err.Error(), "data loaders with worker processes need it"}
	}
	if size < 1024 {
		return finding{"shm", "warn", fmt.Sprintf("/dev/shm has only %d MiB: data loaders with worker processes may fail", size),
			"start the container with --shm-size=8g"}
	}
	return finding{"shm", "ok", fmt.Sprintf("/dev/shm has %d MiB", size), ""}
}
