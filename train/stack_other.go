//go:build !unix

package train

import "os"

// stackSignals are none where there is no SIGUSR1.
func stackSignals() []os.Signal { return nil }
