package jobfile

import (
	"regexp"
	"strconv"
	"strings"
)

const maxName = 63

var (
	jobName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)
	labelName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	labelHost  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	secretName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)
)

// isName reports whether text can name a job or a queue: a path element that no directory is left by, and a
// word that cannot forge a line of output.
func isName(text string) bool { return jobName.MatchString(text) }

// toName makes the nearest name of any text; "job" where nothing is left.
func toName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, text)
	name = strings.Trim(name, "-._")
	name = strings.TrimRight(name[:min(len(name), maxName)], "-._")
	if name == "" {
		return defaultName
	}
	return name
}

func isEnvName(text string) bool { return envName.MatchString(text) }

// isLabel reports whether text is a label's key as Kubernetes has it: "team" or "example.com/team".
func isLabel(text string) bool {
	if host, name, ok := strings.Cut(text, "/"); ok {
		return labelHost.MatchString(host) && labelName.MatchString(name)
	}
	return labelName.MatchString(text)
}

// reserved tells why a variable may not be set by a job; empty where it may.
func reserved(name string) (hint string, taken bool) {
	switch name {
	case "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT",
		"TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE",
		"TORCHELASTIC_ERROR_FILE":
		return "take it out", true
	case "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE":
		return "take it out; workers and nodes say how many", true
	case "CUDA_VISIBLE_DEVICES":
		return "take it out; resources.gpus and prefer_gpus say which", true
	}
	return "names that begin with NEXUS_ are ours; take another", strings.HasPrefix(name, "NEXUS_")
}

// isPrintable reports whether text stays on its line and moves no cursor.
func isPrintable(text string) bool {
	for _, r := range text {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// isScript is isPrintable for text that may have several lines.
func isScript(text string) bool {
	for _, r := range text {
		if !strconv.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}
