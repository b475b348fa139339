package proc

import (
	"bytes"
	"errors"
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
	// missed says of the last look that somebody was there and gone before he could be looked at; gone are the dead that
	// nobody had waited for then, with their start times.
	missed bool
	gone   map[int]uint64
	chases bool // whether whom it missed may be one of the attempt
}

func newHunter(name string) *hunter {
	return &hunter{mark: append([]byte(EnvAttempt+"="+name), 0), self: os.Getpid(), group: syscall.Getpgrp(), dying: map[int]uint64{}, chases: true}
}

// kill kills whom it finds and returns how many of all that it ever killed are not dead yet.
func (h *hunter) kill() int {
	for round := 0; ; round++ {
		found := h.members()
		for _, pid := range found {
			if s, err := readStat(pid); err == nil {
				h.strike(pid, s)
			}
		}
		// Who forks all the time is chased without a pause.
		if len(found) == 0 && !(h.chases && h.missed && h.chase()) || round == 50 {
			return h.left()
		}
	}
}

// strike kills a process, and its group at once: a fork in it either happened before or never will. Its leader must be
// ours, or gone.
func (h *hunter) strike(pid int, s stat) {
	if s.group != h.group && (s.group == pid || h.orphaned(s.group)) {
		syscall.Kill(-s.group, syscall.SIGKILL)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	h.dying[pid] = s.start
}

// chase looks at whoever was born last, over and over, and strikes one of the attempt: of a chain of forks each of which is gone
// before a look at all of /proc gets to it, it meets one while it lives.
func (h *hunter) chase() bool {
	for range 100 {
		pid := newestPID()
		s, err := readStat(pid)
		if err != nil || s.dead() {
			continue
		}
		if carries, _ := h.carries(pid); !carries {
			continue
		}
		// Threads are born with numbers like processes. It is there by now, so if it is one of ours it is seen here.
		if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(pid)); err != nil {
			h.strike(pid, s)
			return true
		}
	}
	return false
}

// newestPID is the process that was born last; 0 where that cannot be read.
func newestPID() int {
	text, _ := os.ReadFile("/proc/loadavg")
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(text[bytes.LastIndexByte(text, ' ')+1:])))
	return pid
}

// orphaned reports whether a process group has lost its leader. One that is dead and not waited for may have been an agent's
// child, with the agent in its group.
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
	before := h.gone
	h.missed, h.gone = false, map[int]uint64{}
	for _, pid := range allPIDs() {
		if pid == h.self {
			continue
		}
		carries, told := h.carries(pid)
		if carries && !isZombie(pid) {
			found = append(found, pid)
		}
		if told {
			continue
		}
		if s, err := readStat(pid); err != nil {
			h.missed = true
		} else if s.dead() {
			h.gone[pid] = s.start
			h.missed = h.missed || before[pid] != s.start
		}
	}
	return found
}

func isZombie(pid int) bool {
	s, err := readStat(pid)
	return err != nil || s.dead()
}

// carries looks into the environment of a process, and says whether there was any. Other users' cannot be read and are not ours
// to kill.
func (h *hunter) carries(pid int) (carries, told bool) {
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false, errors.Is(err, os.ErrPermission)
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
		told = told || n > 0
		if at := bytes.Index(h.buf[:have], h.mark); at > 0 && h.buf[at-1] == 0 {
			return true, true
		}
		if err == io.EOF || err != nil || n == 0 {
			return false, told
		}
		// Keep what may be the first part of the mark, with the byte before it.
		if keep := len(h.mark) + 1; have > keep {
			copy(h.buf, h.buf[have-keep:have])
			have = keep
		}
	}
}
