package launch

import (
	"context"
	"fmt"
	"path/filepath"

	"ainexus.io/attempt"
	"ainexus.io/attempt/saved"
	"ainexus.io/nexus"
)

// acknowledged reads the workers' acknowledgement of a stop and believes it only after the checkpoint that it names
// has been read and its sums compared. Nil with a nil error: nobody acknowledged.
func acknowledged(dir attempt.Dir, name, workdir string) (*nexus.Ack, error) {
	ack, err := dir.Ack()
	if attempt.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ack.Attempt != name {
		return nil, fmt.Errorf("the acknowledgement is for %q, not for %q", ack.Attempt, name)
	}
	ack.Path = below(workdir, ack.Path)
	manifest, err := saved.Manifest(ack.Path)
	if err != nil {
		return nil, fmt.Errorf("the acknowledged checkpoint %s is not valid: %w", ack.Path, err)
	}
	if manifest.Step != ack.Step {
		return nil, fmt.Errorf("the acknowledged checkpoint %s is of step %d, not %d", ack.Path, manifest.Step, ack.Step)
	}
	if err := saved.Verify(context.Background(), manifest, filepath.Dir(ack.Path)); err != nil {
		return nil, fmt.Errorf("the acknowledged checkpoint %s is not valid: %w", ack.Path, err)
	}
	return &ack, nil
}
