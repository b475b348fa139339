package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// NewCgroup makes the cgroup of an attempt below the one this process is in, or, for limits that only a parent
// can give, below the nearest parent that does. What cannot be had is told in notes, a sentence each; without any
// usable hierarchy the cgroup is nil. It is removed by [KillAttempt] and by the keeper.
func NewCgroup(name string, limits Limits) (group *Cgroup, notes []string) {
	name = dirName(name)
	c := &Cgroup{}
	homes, err := hierarchies()
	if err != nil {
		return nil, unlimited(limits, err)
	}
	wants := limits.controllers()
	v2, has := homes.unified.choose(wants)
	if v2 != "" {
		if dir, err := makeDir(v2, name); err == nil {
			c.unified = dir
		}
	}
	for _, controller := range wants {
		if c.unified != "" && slices.Contains(has, controller) {
			continue
		}
		if err := c.join(homes, controller, name); err != nil {
			notes = append(notes, fmt.Sprintf("the %s limit is not enforced: %v", controller, err))
		}
	}
	if c.unified == "" && len(c.split) == 0 {
		// Nothing to limit with, but a place to count and kill in is worth having.
		for _, controller := range []string{"freezer", "pids", "memory"} {
			if c.join(homes, controller, name) == nil {
				break
			}
		}
	}
	if c.unified == "" && len(c.split) == 0 {
		return nil, notes
	}
	if c.memory == "" && c.unified != "" && slices.Contains(has, "memory") {
		c.memory = c.unified
	}
	return c, append(notes, c.limit(limits)...)
}

// dirName is what an attempt's directories are called.
func dirName(attempt string) string {
	return "nexus-" + strings.NewReplacer("/", "-", ":", "-").Replace(attempt)
}

// findCgroup looks for the directories of an attempt that nobody remembers the cgroup of: its supervisor died before
// it could say.
func findCgroup(attempt string) *Cgroup {
	homes, err := hierarchies()
	if err != nil {
		return nil
	}
	c := &Cgroup{}
	look := func(home string) {
		dir := filepath.Join(home, dirName(attempt))
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil && !slices.Contains(c.split, dir) {
			c.split = append(c.split, dir)
		}
	}
	for dir := range homes.unified.upwards() {
		look(dir)
	}
	for _, home := range homes.split {
		look(home)
	}
	return c
}

func (l Limits) controllers() (list []string) {
	if l.Memory > 0 {
		list = append(list, "memory")
	}
	if l.CPU > 0 && l.CPU < int64(runtime.NumCPU())*1000 { // more than there is needs no limit
		list = append(list, "cpu")
	}
	return list
}

func unlimited(l Limits, err error) (notes []string) {
	for _, controller := range l.controllers() {
		notes = append(notes, fmt.Sprintf("the %s limit is not enforced: %v", controller, err))
	}
	return notes
}

// join makes the cgroup's directory in a hierarchy of version 1.
func (c *Cgroup) join(homes homes, controller, name string) error {
	home, ok := homes.split[controller]
	if !ok {
		return errors.New("this machine hands out no " + controller + " cgroup to this user")
	}
	if slices.Contains(c.outside, home) {
		return nil // cpu,cpuacct in one hierarchy
	}
	dir, err := makeDir(home, name)
	if err != nil {
		return err
	}
	c.split, c.outside = append(c.split, dir), append(c.outside, home)
	if controller == "memory" {
		c.memory, c.v1 = dir, true
	}
	return nil
}

func makeDir(home, name string) (string, error) {
	dir := filepath.Join(home, name)
	if strings.Contains(dir, ":") {
		return "", errors.New("the path of the cgroup holds a colon")
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// limit writes the limits and tells which ones did not take.
func (c *Cgroup) limit(l Limits) (notes []string) {
	set := func(what, dir, file, value string) {
		if dir == "" {
			return // said before
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644); err != nil {
			notes = append(notes, fmt.Sprintf("the %s limit is not enforced: %v", what, err))
		}
	}
	const period = 100_000 // microseconds
	quota := strconv.FormatInt(max(1000, l.CPU*period/1000), 10)
	bytes := strconv.FormatInt(l.Memory, 10)
	if l.Memory > 0 && c.v1 {
		set("memory", c.memory, "memory.limit_in_bytes", bytes)
		swap := filepath.Join(c.memory, "memory.memsw.limit_in_bytes") // absent where swap is not counted
		os.WriteFile(swap, []byte(bytes), 0o644)
	} else if l.Memory > 0 {
		set("memory", c.memory, "memory.max", bytes)
		if c.memory != "" {
			os.WriteFile(filepath.Join(c.memory, "memory.swap.max"), []byte("0"), 0o644)
		}
	}
	if !slices.Contains(l.controllers(), "cpu") {
		return notes
	}
	for _, dir := range c.split {
		if _, err := os.Stat(filepath.Join(dir, "cpu.cfs_quota_us")); err == nil {
			os.WriteFile(filepath.Join(dir, "cpu.cfs_period_us"), []byte(strconv.Itoa(period)), 0o644)
			set("cpu", dir, "cpu.cfs_quota_us", quota)
		}
	}
	if c.unified != "" {
		if _, err := os.Stat(filepath.Join(c.unified, "cpu.max")); err == nil {
			set("cpu", c.unified, "cpu.max", quota+" "+strconv.Itoa(period))
		}
	}
	return notes
}

// mayBeToBlame reports whether a start may have failed for the way into the cgroup, not for the program: kernels
// before 5.7 and the usual container filters know no clone3.
func (c *Cgroup) mayBeToBlame(err error) bool {
	if c == nil || c.unified == "" {
		return false
	}
	for _, e := range []error{unix.ENOSYS, unix.EINVAL, unix.E2BIG, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// take moves a process into the directory of version 2.
func (c *Cgroup) take(pid int) error {
	return os.WriteFile(filepath.Join(c.unified, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
}

// MachineOOMKills counts the processes of the whole machine that the kernel's OOM killer has ended since it started.
func MachineOOMKills() int { return oomKills("/proc/vmstat") }

// CountsOOM reports whether OOMKills tells of this cgroup alone.
func (c *Cgroup) CountsOOM() bool { return c != nil && c.memory != "" }

// OOMKills counts the processes of the cgroup that the kernel's OOM killer has ended; 0 where nobody counts.
func (c *Cgroup) OOMKills() int {
	if c == nil || c.memory == "" {
		return 0
	}
	file := "memory.events"
	if c.v1 {
		file = "memory.oom_control"
	}
	return oomKills(filepath.Join(c.memory, file))
}

// PeakMemory is the most bytes that the cgroup had in use, caches of files included; 0 where nobody counts.
func (c *Cgroup) PeakMemory() int64 {
	if c == nil || c.memory == "" {
		return 0
	}
	file := "memory.peak"
	if c.v1 {
		file = "memory.max_usage_in_bytes"
	}
	data, _ := os.ReadFile(filepath.Join(c.memory, file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n
}

func oomKills(path string) int {
	data, _ := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			n, _ := strconv.Atoi(count)
			return n
		}
	}
	return 0
}

// open returns the directory of version 2 for the kernel to start a child in.
func (c *Cgroup) open() (*os.File, error) {
	return os.OpenFile(c.unified, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// enter moves the calling thread into the directories of version 1, where its children will be born; leave
// moves it out again. The thread must be locked.
func (c *Cgroup) enter() (leave func(), err error) {
	if c == nil {
		return func() {}, nil
	}
	tid := []byte(strconv.Itoa(unix.Gettid()))
	leave = func() {
		for _, home := range c.outside {
			os.WriteFile(filepath.Join(home, "tasks"), tid, 0o644)
		}
	}
	for _, dir := range c.split {
		if err := os.WriteFile(filepath.Join(dir, "tasks"), tid, 0o644); err != nil {
			leave()
			return nil, fmt.Errorf("entering cgroup %s: %w", dir, err)
		}
	}
	return leave, nil
}

// kill kills every member but this process and returns how many are left. The last kill may be cgroup.kill; one
// before another round may not: Linux 6.18 kills every later child that is started right into such a cgroup.
func (c *Cgroup) kill(last bool) int {
	if c == nil {
		return 0
	}
	for _, dir := range c.dirs() {
		if last && os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
			continue
		}
		killFrozen(dir)
	}
	left := len(c.members())
	if left == 0 && c.populated() {
		left = 1
	}
	return left
}

// killFrozen kills the members one by one. Who cannot run cannot fork away from a list that is being worked through;
// where nothing can be frozen, only haste helps.
func killFrozen(dir string) {
	if len(procsBelow(dir)) == 0 {
		return
	}
	thaw := freeze(dir)
	defer thaw()
	for range 10 {
		pids := procsBelow(dir)
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(pids) == 0 {
			return
		}
	}
}

// freeze stops a cgroup where that is possible.
func freeze(dir string) (thaw func()) {
	for file, words := range map[string][2]string{
		"cgroup.freeze": {"1", "0"}, "freezer.state": {"FROZEN", "THAWED"},
	} {
		path := filepath.Join(dir, file)
		if os.WriteFile(path, []byte(words[0]), 0) == nil {
			return func() { os.WriteFile(path, []byte(words[1]), 0) }
		}
	}
	return func() {}
}

// populated reports whether the kernel counts anybody in the hierarchy of version 2: who is dying is no
// longer listed but still counted until it has closed its devices.
func (c *Cgroup) populated() bool {
	for _, dir := range c.dirs() {
		data, _ := os.ReadFile(filepath.Join(dir, "cgroup.events"))
		if strings.Contains(string(data), "populated 1") {
			return true
		}
	}
	return false
}

// members lists the living processes in any of the directories, without this one.
func (c *Cgroup) members() (pids []int) {
	for _, dir := range c.dirs() {
		pids = append(pids, procsBelow(dir)...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// procsBelow lists the processes of a cgroup and of those that were made in it.
func procsBelow(dir string) (pids []int) {
	filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		data, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for text := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(text)
			if err == nil && pid > 0 && pid != os.Getpid() && !isZombie(pid) {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// remove removes the empty directories, from the leaves up, and returns how many the kernel still holds on to.
func (c *Cgroup) remove() (left int) {
	for _, root := range c.dirs() {
		var dirs []string
		filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			err := syscall.Rmdir(dir)
			for range 5 {
				if !errors.Is(err, syscall.EBUSY) {
					break
				}
				time.Sleep(time.Millisecond)
				err = syscall.Rmdir(dir)
			}
			if errors.Is(err, syscall.EBUSY) {
				left++
			}
		}
	}
	return left
}

// Remove gives up an empty cgroup.
func (c *Cgroup) Remove() {
	if c != nil {
		c.remove()
	}
}
