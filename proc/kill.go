package proc

import (
	"fmt"
	"time"
)

// EnvAttempt is the variable that marks every process of an attempt: EnvAttempt=<job id>/<attempt>.
const EnvAttempt = "NEXUS_ATTEMPT"

// calm is how sure looks in a row that find nothing have to make us. Three do: a process in the middle of execve shows no
// environment. Six do where each time somebody was gone before he could be looked at, as it may have been one of a chain
// of forks none of which lives for long; a cgroup sees these too.
const (
	calm    = 12
	sure    = 4
	notSure = 2
)

// KillAttempt kills every process of an attempt and returns when none is left. Cgroup is [Cgroup.String], empty
// for none or an unknown one, which is looked for; it is removed. The caller itself is spared. The error counts who
// is left after timeout.
func KillAttempt(name, cgroup string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	group := openCgroup(cgroup)
	if group == nil {
		group = findCgroup(name)
	}
	if err := killAll(name, group, timeout, true); err != nil {
		return err
	}
	for group.remove() > 0 {
		if time.Now().After(deadline) {
			return fmt.Errorf("the kernel holds on to the cgroup of attempt %s, which has no processes", name)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// killAll kills every process of an attempt and leaves its cgroup, for the next round unless this is the last one.
func killAll(name string, group *Cgroup, timeout time.Duration, last bool) error {
	deadline := time.Now().Add(timeout)
	hunt := newHunter(name)
	pause := time.Millisecond
	for empty := 0; ; {
		left := group.kill(last)
		// Of a chain of forks one is always alive, so that a cgroup without members holds none to chase.
		hunt.chases = group == nil || left > 0
		left += hunt.kill()
		switch {
		case left > 0:
			empty = 0
		case hunt.missed && group == nil:
			empty += notSure
		default:
			empty += sure
		}
		if empty >= calm {
			return nil
		}
		if left > 0 && time.Now().After(deadline) {
			return fmt.Errorf("%d processes of attempt %s do not end", left, name)
		}
		time.Sleep(pause)
		pause = min(2*pause, 20*time.Millisecond)
	}
}

// Empty reports whether no process of an attempt is left but the caller. Cgroup is [Cgroup.String], empty for none.
func Empty(name, cgroup string) bool {
	return len(Members(name, cgroup)) == 0 && !openCgroup(cgroup).populated()
}

// Members lists the living processes of an attempt without the caller.
func Members(name, cgroup string) []int {
	seen := map[int]bool{}
	var list []int
	for _, pids := range [][]int{openCgroup(cgroup).members(), newHunter(name).members()} {
		for _, pid := range pids {
			if !seen[pid] {
				seen[pid] = true
				list = append(list, pid)
			}
		}
	}
	return list
}
