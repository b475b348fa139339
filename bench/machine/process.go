package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is one entry of /proc. Args and Exe are empty where this user may not look.
type Process struct {
	PID, Parent int
	State       byte     // as in /proc/PID/stat: R, S, Z and so on
	Exe         string   // path of the program
	Args        []string // its command line
}

// Processes lists the processes of this machine.
func Processes() ([]Process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, errors.New("this system shows no processes in /proc")
	}
	var list []Process
	for _, dir := range dirs {
		p, err := process(dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

var errGone = errors.New("the process has ended")

func process(dir string) (Process, error) {
	var p Process
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return p, fmt.Errorf("%w: %w", errGone, err)
	}
	// The name in parentheses may hold anything, parentheses too.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return p, fmt.Errorf("%s/stat is cut off", dir)
	}
	p.State = fields[0][0]
	if p.Parent, err = strconv.Atoi(fields[1]); err != nil {
		return p, fmt.Errorf("reading %s/stat: %w", dir, err)
	}
	if p.PID, err = strconv.Atoi(filepath.Base(dir)); err != nil {
		return p, err
	}
	p.Exe, _ = os.Readlink(filepath.Join(dir, "exe"))
	if line, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && len(line) > 0 {
		p.Args = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	}
	return p, nil
}

// Children gives the living processes whose parent is pid.
func Children(pid int) ([]Process, error) {
	list, err := Processes()
	return slices.DeleteFunc(list, func(p Process) bool { return p.Parent != pid || p.State == 'Z' }), err
}

// PSS is the proportional set size of processes, summed, in bytes: memory that several processes share counts as its
// part in each.
func PSS(pids ...int) (int64, error) {
	return sum(pids, "smaps_rollup", "Pss")
}

// RSS is the resident set size of a process in bytes.
func RSS(pid int) (int64, error) { return sum([]int{pid}, "status", "VmRSS") }

// PeakRSS is the most that the resident set of a process ever was, in bytes.
func PeakRSS(pid int) (int64, error) { return sum([]int{pid}, "status", "VmHWM") }

func sum(pids []int, file, name string) (int64, error) {
	var total int64
	for _, pid := range pids {
		path := fmt.Sprintf("/proc/%d/%s", pid, file)
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		kib, err := kilobytes(string(text), name)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", path, err)
		}
		total += kib << 10
	}
	return total, nil
}

// kilobytes finds a line such as "Pss:   1234 kB".
func kilobytes(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == name+":" && words[2] == "kB" {
			return strconv.ParseInt(words[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("it has no line %q in kB", name)
}
