package house

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
)

// A Breach is one place where the sources break a rule.
type Breach struct {
	Rule     string // the rule's short name, such as "floors"
	Path     string
	Line     int    // from 1
	Sentence string // what is wrong there and what to do about it
}

// String gives "path:line: rule: sentence".
func (b Breach) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", b.Path, b.Line, b.Rule, b.Sentence)
}

// A rule looks at one package, or at one text, and tells what it finds.
type rule struct {
	name      string
	inPackage func(*Tree, *Package, tell)
	inText    func(Text, tell)
}

// tell reports one breach of the rule at hand.
type tell func(path string, line int, format string, args ...any)

// rules is the whole house order, in the order in which it is told.
var rules = []rule{
	{name: "rooms", inPackage: checkRooms},
	{name: "floors", inPackage: checkFloors},
	{name: "places", inPackage: checkPlaces},
	{name: "testing", inPackage: checkTesting},
	{name: "fences", inPackage: checkFences},
	{name: "train", inPackage: checkTrain},
	{name: "pure-imports", inPackage: checkPureImports},
	{name: "pure-calls", inPackage: checkPureCalls},
	{name: "pure-goroutines", inPackage: checkPureGoroutines},
	{name: "state", inPackage: checkState},
	{name: "init", inPackage: checkInit},
	{name: "settings", inPackage: checkSettings},
	{name: "doc", inPackage: checkDoc},
	{name: "names", inPackage: checkNames},
	{name: "length", inPackage: checkLength},
	{name: "leftovers", inText: checkLeftovers},
	{name: "machine", inText: checkMachine},
}

// Check gives every breach of every rule, by path and line.
func Check(t *Tree) []Breach {
	var breaches []Breach
	for _, r := range rules {
		tell := func(path string, line int, format string, args ...any) {
			breaches = append(breaches, Breach{r.name, path, line, fmt.Sprintf(format, args...)})
		}
		if r.inPackage != nil {
			for _, p := range t.Packages {
				r.inPackage(t, p, tell)
			}
		}
		if r.inText != nil {
			for _, x := range t.Texts {
				r.inText(x, tell)
			}
		}
	}
	slices.SortStableFunc(breaches, func(a, b Breach) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	return breaches
}

func (t *Tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }
