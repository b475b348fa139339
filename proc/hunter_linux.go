package proc

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"syscall"
)

// hunter finds the processes that carry an attempt's name in their environment. A child has its parent's
// environment from its first instant, so nobody can be born out of sight.
type hunter struct {
	mark  []byte // NEXUS_ATTEMPT=<name>, with the byte 0 behind it
	self  int
	group int // our own process group
	buf   []byte
	// dying are the killed ones with their start times. Their environment goes first and their devices later.
	dying map[int]uint64
}

func newHunter(name string) *hunter {
	return &hunter{mark: append([]byte(EnvAttempt+"="+name), 0), self: os.Getpid(), group: syscall.Getpgrp(), dying: map[int]uint64{}}
}

// kill kills whom it finds and returns how many of all that it ever killed are not dead yet.
func (h *hunter) kill() int {
	for round := 0; ; round++ {
		found := h.members()
		for _, pid := range found {
			// The group at once: a fork in it either happened before or never will. Its leader must be ours, or gone.
			s, err := readStat(pid)
			if err != nil {
				continue
			}
			if s.group != h.group && (s.group == pid || h.orphaned(s.group)) {
				syscall.Kill(-s.group, syscall.SIGKILL)
			}
			syscall.Kill(pid, syscall.SIGKILL)
			h.dying[pid] = s.start
		}
		// Who forks all the time is chased without a pause.
		if len(found) == 0 || round == 50 {
			return h.left()
		}
	}
}

// orphaned reports whether a process group has lost its leader.
func (h *hunter) orphaned(group int) bool {
	_, err := readStat(group)
	return err != nil
}

// left counts the killed ones that are not dead yet.
func (h *hunter) left() int {
	for pid, start := range h.dying {
		if s, err := readStat(pid); err != nil || s.start != start || s.dead() {
			delete(h.dying, pid)
		}
	}
	return len(h.dying)
}

// members lists the living processes that carry the mark.
func (h *hunter) members() []int {
	var found []int
	for _, pid := range allPIDs() {
		if pid != h.self && h.carries(pid) && !isZombie(pid) {
			found = append(found, pid)
		}
	}
	return found
}

func isZombie(pid int) bool {
	s, err := readStat(pid)
	return err != nil || s.dead()
}

// carries looks into the environment of a process. Other users' cannot be read and are not ours to kill.
func (h *hunter) carries(pid int) bool {
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	defer file.Close()
	if h.buf == nil {
		h.buf = make([]byte, 32<<10)
	}
	h.buf[0] = 0 // as if an entry ended before the first one
	have := 1
	for {
		n, err := file.Read(h.buf[have:])
		have += n
		if at := bytes.Index(h.buf[:have], h.mark); at > 0 && h.buf[at-1] == 0 {
			return true
		}
		if err == io.EOF || err != nil || n == 0 {
			return false
		}
		// Keep what may be the first part of the mark, with the byte before it.
		if keep := len(h.mark) + 1; have > keep {
			copy(h.buf, h.buf[have-keep:have])
			have = keep
		}
	}
}
