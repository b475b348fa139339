package jobfile

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A mistake is a place where the text is not YAML; line and column are 0 where they are unknown.
type mistake struct {
	line, column int
	text, hint   string
}

// yamlLine finds the line in what the parser says.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// parserProblems are what yaml.v3 reports one line too early, because it counts these from 0.
var parserProblems = []string{
	"did not find expected <stream-start>", "did not find expected <document start>", "did not find expected node content",
	"did not find expected key", "did not find expected '-' indicator", "did not find expected ',' or ']'",
	"did not find expected ',' or '}'", "found undefined tag handle", "found duplicate %YAML directive",
	"found incompatible YAML document", "found duplicate %TAG directive",
}

const (
	noColon = `": " is not allowed here`
	noStart = "a value cannot begin with this character"
	noTab   = "a tab is not allowed here"
)

// syntaxHints say what usually is behind a complaint.
var syntaxHints = []struct{ about, text, hint string }{
	{"mapping values are not allowed", noColon, `quote a value that holds ": ", and indent fields of one level alike`},
	{"found character that cannot start any token", noStart, `quote values that begin with @, %, a backquote or a tab; indent with spaces`},
	{"node content", "a value is missing here", ""},
	{"found a tab character", noTab, "indent with spaces"},
	{"',' or ']'", "a list in [ ] is not closed, or lacks a comma", ""},
	{"',' or '}'", "fields in { } are not closed, or lack a comma", ""},
	{"'-' indicator", "this line does not go on with the list", "begin each item with - at the same depth"},
	{"did not find expected key", "this line is not a field of the ones above", "indent fields of one level alike, and quote a value that goes on after a quote"},
	{"could not find expected ':'", "a field is followed by : and its value", ""},
	{"unexpected end of stream", "a quote is not closed", ""},
	{"unknown escape character", `this is no escape of double-quoted text`, `write \\ for a backslash, or use single quotes`},
	{"invalid Unicode character", `this is no escape of double-quoted text`, `write the character itself`},
	{"exceeded max depth", "this is nested too deeply", ""},
}

// syntaxMistake words what the parser refused.
func syntaxMistake(data []byte, said string) *mistake {
	parts := yamlLine.FindStringSubmatch(strings.SplitN(said, "\n", 2)[0])
	if parts == nil {
		return &mistake{text: "this cannot be read as YAML"}
	}
	problem := parts[2]
	if name, ok := strings.CutPrefix(problem, "unknown anchor '"); ok {
		name = strings.TrimSuffix(name, "' referenced")
		m := &mistake{text: quote("*"+name) + " refers to an anchor that is not defined before", hint: "quote text that begins with *"}
		if use := []byte("*" + name); bytes.Count(data, use) == 1 {
			m.line, m.column = position(data, bytes.Index(data, use))
		}
		return m
	}
	m := &mistake{line: 1, text: "this cannot be read as YAML: " + problem}
	if parts[1] != "" {
		m.line, _ = strconv.Atoi(parts[1])
		if slices.Contains(parserProblems, problem) {
			m.line++
		}
	}
	for _, known := range syntaxHints {
		if strings.Contains(problem, known.about) {
			m.text, m.hint = known.text, known.hint
			break
		}
	}
	m.line, m.column = firstOn(data, m.line)
	m.look(bytes.Split(data, []byte{'\n'})[m.line-1])
	return m
}

// look finds what is complained about on its line, where that can be seen.
func (m *mistake) look(line []byte) {
	indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
	at := -1
	switch {
	case m.text == noStart && bytes.IndexByte(indent, '\t') >= 0:
		m.text, m.hint, at = noTab, "indent with spaces", bytes.IndexByte(indent, '\t')
	case m.text == noStart:
		at = bytes.IndexAny(line, "@%`\t")
	case m.text == noColon:
		if first := bytes.Index(line, []byte(": ")); first >= 0 {
			if second := bytes.IndexByte(line[first+1:], ':'); second >= 0 {
				at = first + 1 + second
			}
		}
	}
	if at >= 0 {
		m.column = 1 + utf8.RuneCount(line[:at])
	}
}

// firstOn tells where the text of a line begins; past the end, the last line that has any.
func firstOn(data []byte, line int) (int, int) {
	lines := bytes.Split(data, []byte{'\n'})
	at := min(max(line, 1), len(lines))
	for at > 1 && len(bytes.TrimSpace(lines[at-1])) == 0 {
		at--
	}
	text := lines[at-1]
	return at, 1 + len(text) - len(bytes.TrimLeft(text, " \t"))
}
