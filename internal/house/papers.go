package house

import (
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxLines is where a file asks what its second half is called; maxMain is
// where main stops being a hand-over.
const (
	maxLines = 400
	maxMain  = 30
)

// checkDoc wants a doc.go that says what the package is. A command may say it
// in main.go.
func checkDoc(_ *Tree, p *Package, tell tell) {
	product := slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
	if len(product) == 0 {
		return
	}
	names := []string{"doc.go"}
	if p.isMain() {
		names = append(names, "main.go")
	}
	for _, f := range product {
		if slices.Contains(names, path.Base(f.Path)) && f.AST.Doc != nil {
			return
		}
	}
	tell(product[0].Path, 1, "the package %s does not say what it is: add a %s with a package comment (what it is, how a "+
		"value moves through it, what it leaves to others)", p.Dir, names[0])
}

func checkLength(_ *Tree, p *Package, tell tell) {
	for _, f := range p.Files {
		limit := maxLines
		if within(p.Dir, "cmd") {
			limit = maxMain
		}
		if !f.Test && !f.generated() && f.Lines > limit {
			tell(f.Path, f.Lines, "the file has %d lines, more than %d: ask what its second half is called, and give it a file",
				f.Lines, limit)
		}
	}
}

// The words are put together here so that this file does not hold them itself.
var (
	leftover = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)
	machine  = regexp.MustCompile(`(?:^|[^\w./~-])(/wo` + `rk/[\w.]*(?:/[\w.]+)?)|\b(shared/des` + `ign)\b`)
)

// publicTraces is the one path outside the repository that sources may name:
// where recorded traces of public clusters lie, if a machine has them.
const publicTraces = "/wo" + "rk/shared/traces"

func checkLeftovers(x Text, tell tell) {
	for i, line := range numbered(x) {
		if word := leftover.FindString(line); word != "" {
			tell(x.Path, i, "%s is a promise that nobody keeps: do it now, or open an issue and take the words out", word)
		}
	}
}

func checkMachine(x Text, tell tell) {
	for i, line := range numbered(x) {
		for _, match := range machine.FindAllStringSubmatch(line, -1) {
			if found := match[1] + match[2]; found != publicTraces {
				tell(x.Path, i, "%s is a path of one machine and means nothing elsewhere: use a path relative to the repository", found)
			}
		}
	}
}

// numbered gives the lines of a text with their numbers, from 1.
func numbered(x Text) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		i := 0
		for line := range strings.Lines(x.Body) {
			i++
			if !yield(i, line) {
				return
			}
		}
	}
}
