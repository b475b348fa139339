package machine

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// ModernPython is the command line of a Python that has PyTorch 2.6: that of the chroot of scripts/torch26.sh, in which /tmp and
// the repository are where they are outside. It takes minutes to build, so that it is only used where it is there.
func ModernPython(ctx context.Context, root string) ([]string, error) {
	script := filepath.Join(root, "scripts", "torch26.sh")
	if err := exec.CommandContext(ctx, "sh", script, "run", "true").Run(); err != nil {
		return nil, fmt.Errorf("there is no PyTorch 2.6 here; sh scripts/torch26.sh build makes one: %w", err)
	}
	return []string{"sh", script, "run", "python3"}, nil
}
