package launch

import (
	"os"

	"golang.org/x/sys/unix"
)

// thisMachine is what this system says, of the CPUs that this process may use.
func thisMachine() machine {
	var allowed unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil {
		return machine{}
	}
	return readMachine(os.DirFS("/"), allowed.IsSet)
}
