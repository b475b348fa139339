package proc

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sanitize makes a line of somebody else's output safe for a terminal: colours (SGR) stay and are reset at the end,
// every other escape sequence and control character goes, a carriage return shows what it would show, a
// newline becomes a space, and bytes that are no UTF-8 become U+FFFD.
func Sanitize(line string) string {
	if plain(line) {
		return line
	}
	line = lastShown(strings.TrimRight(line, "\r\n"))
	var out strings.Builder
	coloured := false
	for len(line) > 0 {
		if line[0] == '\x1b' {
			size, keep := escape(line)
			if keep {
				out.WriteString(line[:size])
				coloured = true
			}
			line = line[size:]
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		line = line[size:]
		switch {
		case r == '\n', r == '\u2028', r == '\u2029', r == '\u0085':
			out.WriteByte(' ')
		case r == '\t', !unicode.IsControl(r) && !turnsText(r):
			out.WriteRune(r) // an invalid byte is U+FFFD here
		}
	}
	if coloured {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// plain reports whether there is nothing to do: the usual line.
func plain[T string | []byte](line T) bool {
	for i := range len(line) {
		if b := line[i]; b < ' ' && b != '\t' || b > '~' {
			return false
		}
	}
	return true
}

// lastShown is what remains visible when each carriage return begins the line anew.
func lastShown(line string) string {
	parts := strings.Split(line, "\r")
	for i := len(parts) - 1; i > 0; i-- {
		if parts[i] != "" {
			return parts[i]
		}
	}
	return parts[0]
}

// turnsText reports whether a rune changes the direction of what follows, or hides.
func turnsText(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c || r == 0xfeff
}

// escape measures the sequence that begins line and says whether it is an SGR.
func escape(line string) (size int, keep bool) {
	if len(line) < 2 {
		return len(line), false
	}
	switch line[1] {
	case '[': // CSI: parameters and intermediates, then a final byte
		for i := 2; i < len(line); i++ {
			switch b := line[i]; {
			case b >= '@' && b <= '~':
				return i + 1, b == 'm' && strings.Trim(line[2:i], "0123456789;:") == ""
			case b < ' ' || b > '~':
				return i, false // broken off
			}
		}
		return len(line), false
	case ']', 'P', 'X', '^', '_': // strings, up to BEL or ESC \
		for i := 2; i < len(line); i++ {
			if line[i] == '\a' {
				return i + 1, false
			}
			if line[i] == '\x1b' {
				return min(i+2, len(line)), false
			}
		}
		return len(line), false
	}
	for i := 1; i < len(line); i++ { // intermediates, then a final byte
		if b := line[i]; b < ' ' || b > '/' {
			if b < ' ' || b > '~' {
				return i, false
			}
			return i + 1, false
		}
	}
	return len(line), false
}
