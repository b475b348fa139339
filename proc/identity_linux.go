package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

func startTime(pid int) (uint64, error) {
	s, err := readStat(pid)
	if err == nil && s.dead() {
		err = unix.ESRCH
	}
	return s.start, err
}

// stat is what we use of /proc/PID/stat.
type stat struct {
	state   byte
	parent  int
	group   int
	session int
	start   uint64
}

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The name, in parentheses, may hold anything, parentheses and spaces too.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("reading the state of process %d: %q", pid, data)
	}
	number := func(i int) int { n, _ := strconv.Atoi(string(fields[i])); return n }
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return stat{state: fields[0][0], parent: number(1), group: number(2), session: number(3), start: start}, err
}

// ChildrenOf lists the living direct children of a process; empty when it is gone.
func ChildrenOf(pid int) []int {
	children, ok := childrenFile(pid)
	if !ok {
		children = allPIDs()
	}
	return slices.DeleteFunc(children, func(child int) bool {
		s, err := readStat(child)
		return err != nil || s.parent != pid || s.dead()
	})
}

// childrenFile asks the kernel, where it was built to answer. A look at every process takes too long for a shell
// whose commands are short.
func childrenFile(pid int) (children []int, ok bool) {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		ok = true
		for text := range strings.FieldsSeq(string(data)) {
			if child, err := strconv.Atoi(text); err == nil {
				children = append(children, child)
			}
		}
	}
	return children, ok
}

// Program returns the path of the file that a process executes; empty when that cannot be told.
func Program(pid int) string {
	path, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return path
}

// allPIDs lists every process there is, in ascending order.
func allPIDs() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
