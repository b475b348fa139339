package code

import (
	"path"
	"regexp"
	"strings"
)

// rule is one line of a .gitignore.
type rule struct {
	pattern *regexp.Regexp // of the path below the file's directory
	dirs    bool           // it is about directories only
	keep    bool           // it takes back what an earlier one left out
}

// rules are those of one directory's .gitignore.
type rules struct {
	dir  string // slash-separated, below the root; "" is the root
	list []rule
}

// readRules reads a .gitignore. A line that is no pattern is passed over, as git does.
func readRules(dir, text string) rules {
	r := rules{dir: dir}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
			line = line[:len(line)-1]
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var one rule
		if line[0] == '!' {
			one.keep, line = true, line[1:]
		}
		if strings.HasSuffix(line, "/") {
			one.dirs, line = true, strings.TrimSuffix(line, "/")
		}
		if line == "" {
			continue
		}
		anchored := strings.Contains(line, "/")
		line = strings.TrimPrefix(line, "/")
		prefix := "^"
		if !anchored {
			prefix = "^(?:.*/)?"
		}
		pattern, err := regexp.Compile(prefix + expression(line) + "$")
		if err != nil {
			continue
		}
		one.pattern = pattern
		r.list = append(r.list, one)
	}
	return r
}

// expression writes a pattern as a regular expression.
func expression(glob string) string {
	var out strings.Builder
	for i := 0; i < len(glob); i++ {
		rest := glob[i:]
		switch {
		case rest == "/**":
			out.WriteString("/.+")
			i += 2
		case strings.HasPrefix(rest, "/**/"):
			out.WriteString("/(?:.*/)?")
			i += 3
		case i == 0 && strings.HasPrefix(rest, "**/"):
			out.WriteString("(?:.*/)?")
			i += 2
		case rest[0] == '*':
			for i+1 < len(glob) && glob[i+1] == '*' { // elsewhere several are as one
				i++
			}
			out.WriteString("[^/]*")
		case rest[0] == '?':
			out.WriteString("[^/]")
		case rest[0] == '[':
			end := strings.IndexByte(rest[1:], ']')
			if end < 1 {
				return "[" // no pattern
			}
			set := rest[1 : 1+end]
			if set[0] == '!' {
				set = "^" + set[1:]
			}
			out.WriteString("[" + strings.ReplaceAll(set, `[`, `\[`) + "]")
			i += end + 1
		case rest[0] == '\\' && len(rest) > 1:
			out.WriteString(regexp.QuoteMeta(rest[1:2]))
			i++
		default:
			out.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	return out.String()
}

// ignored reports whether a path is left out by the rules of the directories above it, outermost first. What is below a
// directory that is left out is so too, and is not asked about.
func ignored(all []rules, file string, dir bool) bool {
	out := false
	for _, r := range all {
		below := file
		if r.dir != "" {
			var ok bool
			if below, ok = strings.CutPrefix(file, r.dir+"/"); !ok {
				continue
			}
		}
		for _, one := range r.list {
			if (dir || !one.dirs) && one.pattern.MatchString(below) {
				out = !one.keep
			}
		}
	}
	return out || path.Base(file) == ".git"
}
