package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Root is the repository that the current directory is in.
func Root() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "scripts", "setup.sh")); err == nil {
			return at, nil
		}
		if filepath.Dir(at) == at {
			return "", errors.New("the current directory is not inside the repository: no scripts/setup.sh above it")
		}
		at = filepath.Dir(at)
	}
}

// Setup installs what `make test` would, and the named packages, which only this benchmark needs. What it says goes to
// log.
func Setup(ctx context.Context, root string, log io.Writer, packages ...string) error {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"scripts/setup.sh"}, packages...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("installing the peers with scripts/setup.sh: %w", err)
	}
	return nil
}
