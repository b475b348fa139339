package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Environ reads the environment that a process was started with. It is told only to the process's own user and to root.
func Environ(pid int) ([]string, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 }), nil
}

// UserOf tells whose process it is, as a credential to start another one with; nil where that is who asks.
func UserOf(pid int) (*syscall.Credential, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return nil, err
	}
	lines := map[string][]uint32{}
	for line := range strings.Lines(string(data)) {
		key, rest, _ := strings.Cut(line, ":")
		if key != "Uid" && key != "Gid" && key != "Groups" {
			continue
		}
		for field := range strings.FieldsSeq(rest) {
			n, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("reading whose process %d is: %w", pid, err)
			}
			lines[key] = append(lines[key], uint32(n))
		}
	}
	uid, gid := lines["Uid"], lines["Gid"]
	if len(uid) < 2 || len(gid) < 2 {
		return nil, fmt.Errorf("reading whose process %d is: %q", pid, data)
	}
	if int(uid[1]) == os.Geteuid() {
		return nil, nil
	}
	return &syscall.Credential{Uid: uid[1], Gid: gid[1], Groups: lines["Groups"]}, nil
}
