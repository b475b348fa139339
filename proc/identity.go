package proc

// Identity tells a process from every other one there was or will be: a pid alone is used again.
type Identity struct {
	Boot  string // boot id of the machine
	PID   int
	Start uint64 // start time: ticks since boot on Linux, microseconds since 1970 elsewhere
}

// Identify returns the identity of a living process; an error when there is none with that pid.
func Identify(pid int) (Identity, error) {
	boot, err := bootID()
	if err != nil {
		return Identity{}, err
	}
	start, err := startTime(pid)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Boot: boot, PID: pid, Start: start}, nil
}

// Alive reports whether exactly this process still runs; a zombie does not.
func (id Identity) Alive() bool {
	now, err := Identify(id.PID)
	return err == nil && now == id
}
