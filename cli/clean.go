package cli

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ainexus.io/proc"
)

// clean makes what others wrote fit for a line of ours: control characters, line ends, invisible and reordering
// characters become visible escapes. Nothing from outside is printed without it, so nothing can forge a line, move
// the cursor or colour the rest. A tab becomes a space: columns are ours.
func clean(text string) string {
	if strings.IndexFunc(text, foul) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[i])|0x100, 16)[1:])
		case foul(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// foul is every character that does not simply stand where it is written.
func foul(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// logLine is a line of a job's output as it is shown: harmless, and coloured only where colours are wanted.
func (p *program) logLine(line string) string {
	line = proc.Sanitize(line)
	if p.terminal && p.getenv("NO_COLOR") == "" {
		return line
	}
	return colours.ReplaceAllString(line, "")
}

// colours are the escape sequences that Sanitize leaves.
var colours = regexp.MustCompile("\x1b\\[[0-9;:]*m")

func quote(text string) string { return strconv.Quote(text) }
