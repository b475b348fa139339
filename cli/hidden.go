package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/code"
	"ainexus.io/gpu"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// The hidden verbs: daemons and agents start them, not people.
const (
	verbAgent   = "agent"
	verbKeeper  = "keeper"
	verbSampler = "gpu-sampler"
	verbLaunch  = "launch"
	verbCopy    = "copy-to"
	verbUnpack  = "unpack"
	verbBeside  = "beside"
)

// direct finds the verbs that are run without the tree of commands: each is a process that somebody waits for, and
// most live as long as a job.
func (p *program) direct(args []string) (verb func([]string) error, ok bool) {
	switch args[0] {
	case verbAgent: // of an attempt where it is told a directory, else of a node
		return p.agent, len(args) == 2 && !strings.HasPrefix(args[1], "-")
	case verbKeeper:
		return p.keeper, true
	case verbSampler:
		return p.sampler, true
	case verbLaunch:
		return p.launch, true
	case verbCopy:
		return p.copyTo, true
	case verbUnpack:
		return p.unpack, true
	case verbBeside:
		return p.besideHere, true
	}
	return nil, false
}

// agent runs one attempt: agent DIR.
func (p *program) agent(args []string) error {
	// A machine that shuts down ends its processes by TERM: the workers get their chance to save, and the node is blamed.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return app.RunAgent(ctx, args[0], app.AgentOptions{
		Keeper: ownArgv(verbKeeper), Environ: p.environ(), Logger: slog.New(slog.NewTextHandler(p.err, nil)),
	})
}

// keeper waits for the end of an agent and clears up after it: keeper ATTEMPT CGROUP.
func (p *program) keeper(args []string) error {
	if len(args) != 2 {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "keeper takes an attempt and a cgroup"}
	}
	return proc.Keep(args[0], args[1], os.NewFile(proc.KeeperPipe, "pipe"))
}

// sampler reads the devices for whoever started it.
func (p *program) sampler([]string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return gpu.ServeChild(ctx, p.in, p.out)
}

// ownArgv is how to start a hidden verb of this program; nil where nobody knows its file.
func ownArgv(verb string) []string {
	own, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{own, verb}
}

// unpack lays the code of a job out, as an init container: unpack PARTS SUM DIR.
func (p *program) unpack(args []string) error {
	if len(args) != 3 {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "unpack takes the directory of the parts, their checksum and where to"}
	}
	var data []byte
	for i := 0; ; i++ {
		part, err := os.ReadFile(filepath.Join(args[0], code.PartName(i)))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading code: %w", err)
		}
		data = append(data, part...)
	}
	return code.Unpack(data, args[1], args[2])
}

// copyTo leaves this program where a pod's main container finds it: copy-to FILE.
func (p *program) copyTo(args []string) error {
	if len(args) != 1 {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "copy-to takes a file"}
	}
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	in, err := os.Open(own)
	if err != nil {
		return fmt.Errorf("reading this program: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(fmt.Errorf("copying this program: %w", err), out.Close())
	}
	return out.Close()
}
