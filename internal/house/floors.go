package house

import (
	"path"
	"strings"
)

// checkRooms wants every Go package to stand in a room of the table.
func checkRooms(_ *Tree, p *Package, tell tell) {
	if _, ok := roomOf(p.Dir); ok {
		return
	}
	tell(p.Files[0].Path, 1, "the directory %q is no room of the house: move the code into the room whose one-sentence "+
		"description it fits, or add a room with its floor to internal/house/rooms.go and to ARCHITECTURE.md", p.Dir)
}

// checkFloors wants imports to go to a lower floor or to stay in their room. A
// parent may use the rooms of its own subtree. Tests may also look sideways,
// and at rooms for tests.
func checkFloors(t *Tree, p *Package, tell tell) {
	from, ok := roomOf(p.Dir)
	if !ok {
		return
	}
	for _, f := range p.Files {
		for _, spec := range f.AST.Imports {
			dir, inside := t.local(importPath(spec))
			if !inside {
				continue
			}
			line := t.line(spec.Pos())
			to, known := roomOf(dir)
			switch {
			case !known:
				tell(f.Path, line, "%s imports %s, which is no room of the house: see internal/house/rooms.go", p.Dir, dir)
			case to.Path == from.Path, within(to.Path, from.Path), to.Floor < from.Floor:
			case f.Test && (to.Floor == from.Floor || isTesting(dir)):
			default:
				tell(f.Path, line, "%s (floor %d) imports %s (floor %d), but imports go down or into one's own subtree: "+
					"move the code, or let %s declare the interface that it calls", p.Dir, from.Floor, dir, to.Floor, from.Path)
			}
		}
	}
}

// places are the rooms where jobs run. They know neither one another nor the
// engine, not even in their tests.
var places = []string{"cluster/local", "cluster/kube", "cluster/sim"}

func checkPlaces(t *Tree, p *Package, tell tell) {
	for _, place := range append([]string{"cluster/clustertest"}, places...) {
		if !within(p.Dir, place) {
			continue
		}
		for _, f := range p.Files {
			for _, spec := range f.AST.Imports {
				dir, inside := t.local(importPath(spec))
				if !inside || within(dir, place) {
					continue
				}
				for _, stranger := range append([]string{"engine"}, places...) {
					if within(dir, stranger) {
						tell(f.Path, t.line(spec.Pos()), "%s imports %s, but a place knows neither the other places nor the engine: "+
							"take what both need down to nexus, or wire them in app", place, stranger)
					}
				}
			}
		}
	}
}

// testModules are for tests: in the product they would be weight that nobody uses.
var testModules = []string{"testing", "pgregory.net/rapid", "github.com/rogpeppe/go-internal", "net/http/httptest"}

// checkTesting wants what serves tests to be imported by tests only.
func checkTesting(t *Tree, p *Package, tell tell) {
	if isTesting(p.Dir) {
		return
	}
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, spec := range f.AST.Imports {
			imported := importPath(spec)
			dir, inside := t.local(imported)
			if inside && isTesting(dir) || !inside && under(imported, testModules) {
				tell(f.Path, t.line(spec.Pos()), "%s serves tests only: import it from a _test.go file or from a room "+
					"whose name ends in test", imported)
			}
		}
	}
}

// local gives the directory of a package of this module.
func (t *Tree) local(imported string) (dir string, ok bool) {
	if imported == t.Module {
		return ".", true
	}
	dir, ok = strings.CutPrefix(imported, t.Module+"/")
	return path.Clean(dir), ok
}

// under says whether the import path is one of the modules or inside one.
func under(imported string, modules []string) bool {
	for _, m := range modules {
		if within(imported, m) {
			return true
		}
	}
	return false
}
