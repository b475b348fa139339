package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/rank"
	"ainexus.io/c10d"
)

//go:embed peer/mpi.c
var mpiSource string

// side is one library. Its ranks find their pipes in dir as in0, out0, in1 and so on.
type side struct {
	name    string
	demand  bool // the table demands something of us against it
	command func(ctx context.Context, b *program.Bench, dir string, world int) (cmds []*exec.Cmd, after func(), err error)
}

func us() side { return side{name: "ours", command: ourRanks} }

func peers() []side {
	return []side{
		{name: "gloo of torch 1.13", demand: true, command: gloo(machine.Python)},
		{name: "gloo of torch 2.6", demand: true, command: modernGloo},
		{name: "OpenMPI tcp", command: mpi("tcp,self")},
		{name: "OpenMPI shm", command: mpi("vader,self")},
	}
}

// ourRanks are this program again.
func ourRanks(ctx context.Context, b *program.Bench, dir string, world int) ([]*exec.Cmd, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		return nil, nil, err
	}
	var cmds []*exec.Cmd
	for i := range world {
		cmds = append(cmds, exec.CommandContext(ctx, self, rank.Verb, "-store", server.Addr().String(), "-dir", dir,
			"-rank", strconv.Itoa(i), "-size", strconv.Itoa(world)))
	}
	return cmds, func() { server.Close() }, nil
}

func gloo(python ...string) func(context.Context, *program.Bench, string, int) ([]*exec.Cmd, func(), error) {
	return func(ctx context.Context, b *program.Bench, dir string, world int) ([]*exec.Cmd, func(), error) {
		port, err := machine.FreePort()
		if err != nil {
			return nil, nil, err
		}
		var cmds []*exec.Cmd
		for i := range world {
			cmd := exec.CommandContext(ctx, python[0], append(python[1:], "-c", rank.Gloo, dir)...)
			cmd.Dir = b.Root
			cmd.Env = append(os.Environ(), "MASTER_ADDR=127.0.0.1", "MASTER_PORT="+strconv.Itoa(port), "RANK="+strconv.Itoa(i),
				"WORLD_SIZE="+strconv.Itoa(world), "OMP_NUM_THREADS=1", "GLOO_SOCKET_IFNAME=lo", "USE_LIBUV=0")
			cmds = append(cmds, cmd)
		}
		return cmds, func() {}, nil
	}
}

// modernGloo is that of PyTorch 2.6, where there is one.
func modernGloo(ctx context.Context, b *program.Bench, dir string, world int) ([]*exec.Cmd, func(), error) {
	python, err := machine.ModernPython(ctx, b.Root)
	if err != nil {
		return nil, nil, err
	}
	return gloo(python...)(ctx, b, dir, world)
}

// mpi compiles and starts an MPI program, as the table's authors started theirs.
func mpi(transport string) func(context.Context, *program.Bench, string, int) ([]*exec.Cmd, func(), error) {
	return func(ctx context.Context, b *program.Bench, dir string, world int) ([]*exec.Cmd, func(), error) {
		program := filepath.Join(b.Dir, "mpi")
		if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
			if err := os.WriteFile(program+".c", []byte(mpiSource), 0o600); err != nil {
				return nil, nil, err
			}
			if told, err := exec.CommandContext(ctx, "mpicc", "-O2", "-o", program, program+".c").CombinedOutput(); err != nil {
				return nil, nil, fmt.Errorf("compiling with mpicc: %w: %s", err, told)
			}
		}
		return []*exec.Cmd{exec.CommandContext(ctx, "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", strconv.Itoa(world),
			"--mca", "mpi_yield_when_idle", "1", "--mca", "btl", transport, program, dir)}, func() {}, nil
	}
}
