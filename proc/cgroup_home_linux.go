package proc

import (
	"bufio"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// homes are the directories of this process's cgroups, as far as it may make others in them.
type homes struct {
	unified home
	split   map[string]string // by controller of version 1
}

// home is this process's directory in the unified hierarchy and the hierarchy's root.
type home struct{ own, root string }

// upwards yields our own directory and those above it, up to the root.
func (h home) upwards() iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir := h.own; dir != "" && strings.HasPrefix(dir, h.root); dir = filepath.Dir(dir) {
			if !yield(dir) || dir == h.root {
				return
			}
		}
	}
}

// choose finds the nearest directory at or above our own that can hold a child with the controllers, else the nearest
// that can hold a child at all.
func (h home) choose(wants []string) (dir string, has []string) {
	fallback := ""
	for dir := range h.upwards() {
		if usable(dir) {
			given := controllersBelow(dir)
			missing := slices.DeleteFunc(slices.Clone(wants), func(c string) bool { return slices.Contains(given, c) })
			if len(missing) > 0 && enable(dir, missing) {
				missing = nil
				given = controllersBelow(dir)
			}
			if len(missing) == 0 {
				return dir, given
			}
			if fallback == "" {
				fallback = dir
			}
		}
	}
	if fallback == "" {
		return "", nil
	}
	return fallback, controllersBelow(fallback)
}

// usable reports whether processes can be moved from here into new children of dir.
func usable(dir string) bool {
	kind, err := os.ReadFile(filepath.Join(dir, "cgroup.type"))
	if err == nil && strings.TrimSpace(string(kind)) != "domain" && strings.TrimSpace(string(kind)) != "domain threaded" {
		return false
	}
	return unix.Access(dir, unix.W_OK) == nil && unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) == nil
}

func controllersBelow(dir string) []string {
	data, _ := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	return strings.Fields(string(data))
}

// enable hands controllers down to the children of dir. The kernel refuses where dir has processes of its own.
func enable(dir string, controllers []string) bool {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+strings.Join(controllers, " +")), 0) == nil
}

// hierarchies reads where this process is and where that is mounted.
func hierarchies() (homes, error) {
	found := homes{split: map[string]string{}}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return found, err
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return found, err
	}
	defer mounts.Close()
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 || right[0] != "cgroup" && right[0] != "cgroup2" {
			continue
		}
		root, point, options := left[3], left[4], strings.Split(right[2], ",")
		for line := range strings.Lines(string(own)) {
			part := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(part) != 3 {
				continue
			}
			below, inside := strings.CutPrefix(part[2], strings.TrimSuffix(root, "/"))
			dir := filepath.Join(point, below)
			if !inside || strings.HasPrefix(part[2], "/..") {
				continue
			}
			if right[0] == "cgroup2" && part[1] == "" {
				found.unified = home{own: dir, root: point}
			}
			for controller := range strings.SplitSeq(part[1], ",") {
				if right[0] == "cgroup" && controller != "" && slices.Contains(options, controller) && unix.Access(dir, unix.W_OK) == nil {
					found.split[controller] = dir
				}
			}
		}
	}
	return found, nil
}

// FindCgroup finds a cgroup again by its [Cgroup.String], so that processes can be started in it; nil where there is none any more.
func FindCgroup(text string) *Cgroup {
	homes, err := hierarchies()
	if text == "" || err != nil {
		return nil
	}
	c := &Cgroup{}
	for dir := range strings.SplitSeq(text, ":") {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err == nil {
			c.unified = dir
			continue
		}
		for _, home := range homes.split {
			// Of one hierarchy are those that have a mount in common: the attempt's lies where its agent's home was.
			if sameMount(home, dir) && !slices.Contains(c.split, dir) {
				c.split, c.outside = append(c.split, dir), append(c.outside, home)
			}
		}
	}
	if len(c.dirs()) == 0 {
		return nil
	}
	return c
}

func sameMount(a, b string) bool {
	var one, other unix.Stat_t
	return unix.Stat(a, &one) == nil && unix.Stat(b, &other) == nil && one.Dev == other.Dev
}
