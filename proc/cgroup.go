package proc

import "strings"

// Limits are what a cgroup holds its processes to.
type Limits struct {
	Memory int64 // bytes of memory, swap included; 0: no limit
	CPU    int64 // thousandths of a logical CPU; 0: no limit
}

// Cgroup is where an attempt's processes are born and counted. A nil *Cgroup is none and does nothing.
type Cgroup struct {
	unified string   // directory in a hierarchy of version 2; empty: none
	split   []string // directories in hierarchies of version 1, one per controller
	outside []string // where this process is in those of split
	memory  string   // the directory that counts memory; empty: none
	v1      bool     // memory is of version 1
}

// String names the cgroup's directories, so that [KillAttempt] finds them; empty for none.
func (c *Cgroup) String() string {
	if c == nil {
		return ""
	}
	return strings.Join(c.dirs(), ":")
}

// dirs lists every directory, the one that can kill first.
func (c *Cgroup) dirs() []string {
	if c == nil {
		return nil
	}
	if c.unified == "" {
		return c.split
	}
	return append([]string{c.unified}, c.split...)
}

// openCgroup is the inverse of [Cgroup.String]; nil for an empty text.
func openCgroup(text string) *Cgroup {
	if text == "" {
		return nil
	}
	return &Cgroup{split: strings.Split(text, ":")}
}
