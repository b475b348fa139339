package proc

import (
	"strconv"

	"golang.org/x/sys/unix"
)

func bootID() (string, error) {
	at, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(at.Sec, 10), nil
}

const zombie = 5 // SZOMB

func startTime(pid int) (uint64, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0, err
	}
	if int(info.Proc.P_pid) != pid || info.Proc.P_stat == zombie {
		return 0, unix.ESRCH
	}
	at := info.Proc.P_starttime
	return uint64(at.Sec)*1e6 + uint64(at.Usec), nil
}

// ChildrenOf lists the living direct children of a process; empty when it is gone.
func ChildrenOf(pid int) []int {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	var children []int
	for _, info := range all {
		if int(info.Eproc.Ppid) == pid && info.Proc.P_stat != zombie {
			children = append(children, int(info.Proc.P_pid))
		}
	}
	return children
}

// Program returns the path of the file that a process executes; empty when that cannot be told.
func Program(pid int) string {
	args, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil || len(args) < 4 {
		return ""
	}
	return cString(args[4:])
}

func cString(text []byte) string {
	for i, b := range text {
		if b == 0 {
			return string(text[:i])
		}
	}
	return string(text)
}
