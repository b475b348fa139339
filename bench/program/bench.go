package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/row"
)

// Bench is what a program was asked for and what its figures share.
type Bench struct {
	Only  *regexp.Regexp // figures whose name does not match are passed over
	Quick bool           // few samples will do
	Rows  *row.Printer
	Log   io.Writer

	// Most is how long all figures together may take. Default: [Limit].
	Most time.Duration

	Root string // the repository, after [Bench.Open]
	Dir  string // temporary, from [Bench.Open] to [Bench.Close]
}

// Open finds the repository and makes the temporary directory. Figures that neither build nor start anything do without.
func (b *Bench) Open() (err error) {
	if b.Root, err = machine.Root(); err != nil {
		return err
	}
	b.Dir, err = os.MkdirTemp("", "nexus-bench-")
	return err
}

// Close removes the temporary directory.
func (b *Bench) Close() { os.RemoveAll(b.Dir) }

// Say tells how it goes.
func (b *Bench) Say(format string, args ...any) { fmt.Fprintf(b.Log, "# "+format+"\n", args...) }

// Times is how often something is repeated: n, or a few where it only has to be seen to work.
func (b *Bench) Times(n int) int {
	if b.Quick {
		return min(n, 2)
	}
	return n
}

// Peers installs the peers, those in packages too, and says on what they and we are measured.
func (b *Bench) Peers(ctx context.Context, packages ...string) []machine.Fact {
	if err := machine.Setup(ctx, b.Root, b.Log, packages...); err != nil {
		b.Say("%v", err) // the rows that need the peers will say what that means for them
	}
	return machine.Describe(ctx)
}

// Build builds a package of the repository once, without C as it is shipped, and gives the path of the program: name,
// which is relative to the temporary directory.
func (b *Bench) Build(ctx context.Context, name, pkg string) (path string, err error) {
	path = filepath.Join(b.Dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	cmd.Dir, cmd.Env = b.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", pkg, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}
