//go:build !linux

package local

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ainexus.io/proc"
)

// departure is closed when exactly this process has ended. It stays open when ctx ends first.
func departure(ctx context.Context, owner *sync.WaitGroup, id proc.Identity) (<-chan struct{}, error) {
	gone := make(chan struct{})
	owner.Go(func() {
		for ctx.Err() == nil {
			if !id.Alive() {
				close(gone)
				return
			}
			rest(ctx, 200*time.Millisecond)
		}
	})
	return gone, nil
}

// kill ends this process.
func kill(id proc.Identity) {
	if id.Alive() {
		_ = unix.Kill(id.PID, unix.SIGKILL)
	}
}
