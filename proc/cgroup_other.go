//go:build !linux

package proc

// NewCgroup returns none: cgroups are Linux's. Limits that were asked for are told in notes.
func NewCgroup(_ string, limits Limits) (group *Cgroup, notes []string) {
	if limits != (Limits{}) {
		notes = []string{"memory and cpu limits are not enforced: this system has no cgroups"}
	}
	return nil, notes
}

// OOMKills is 0: nobody counts.
func (c *Cgroup) OOMKills() int { return 0 }

// PeakMemory is 0: nobody counts.
func (c *Cgroup) PeakMemory() int64 { return 0 }

// CountsOOM is false.
func (c *Cgroup) CountsOOM() bool { return false }

// MachineOOMKills is 0: this system has no OOM killer that counts.
func MachineOOMKills() int { return 0 }

// ContainerCgroup is nil: containers are Linux'.
func ContainerCgroup() *Cgroup { return nil }

// Remove does nothing.
func (c *Cgroup) Remove() {}

func (c *Cgroup) enter() (leave func(), err error) { return func() {}, nil }

func (c *Cgroup) kill(bool) int { return 0 }

func (c *Cgroup) members() []int { return nil }

func (c *Cgroup) populated() bool { return false }

func (c *Cgroup) remove() int { return 0 }

func (c *Cgroup) mayBeToBlame(error) bool { return false }

func (c *Cgroup) take(int) error { return nil }

func findCgroup(string) *Cgroup { return nil }
