package jobfile

import (
	"strconv"
	"strings"
)

const maxName = 63

// isWord reports whether text has 1 to limit bytes of ASCII letters (lower case only where lower is set), digits and
// the marks in extra, and neither begins nor ends with a mark of edges. A loop, because every start of a process
// would pay for compiling an expression with such a bound.
func isWord(text string, limit int, lower bool, extra, edges string) bool {
	if text == "" || len(text) > limit || strings.Trim(text, edges) != text {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || !lower && c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}

func isLabelWord(text string) bool { return isWord(text, maxName, false, "._-", "._-") }

func isSecretWord(text string) bool { return isWord(text, 253, false, "._-", "") }

// isPlainKey reports whether a key can stand in a path as it is.
func isPlainKey(text string) bool {
	return isWord(text, maxName, false, "_/-", "") && !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "-")
}

// isName reports whether text can name a job or a queue: a path element that no directory is left by, and a
// word that cannot forge a line of output.
func isName(text string) bool { return isWord(text, maxName, true, "._-", "._-") }

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

func isEnvName(text string) bool {
	return isWord(text, 255, false, "_", "") && strings.TrimLeft(text[:1], "0123456789") != ""
}

// isLabel reports whether text is a label's key as Kubernetes has it: "team" or "example.com/team".
func isLabel(text string) bool {
	if host, name, ok := strings.Cut(text, "/"); ok {
		return isWord(host, 253, true, ".-", ".-") && isLabelWord(name)
	}
	return isLabelWord(text)
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
