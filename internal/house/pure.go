package house

import (
	"go/ast"
	"go/token"
	"slices"
)

// pureImports is what a pure room may import of the standard library: what
// computes and does not look around. A short list of what is allowed cannot
// miss a new way of reading a clock.
var pureImports = []string{
	"bufio", "bytes", "cmp", "container/heap", "container/list", "container/ring", "crypto/sha256", "encoding",
	"encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "hash", "hash/crc32",
	"hash/fnv", "io", "iter", "maps", "math", "math/big", "math/bits", "math/cmplx", "net/netip", "net/url", "path",
	"reflect", "regexp", "regexp/syntax", "slices", "sort", "strconv", "strings", "text/tabwriter", "time", "unicode",
	"unicode/utf16", "unicode/utf8",
}

// pureModules are outside modules that only compute, and the directories that
// may use them.
var pureModules = map[string]string{"gopkg.in/yaml.v3": "nexus/jobfile"}

// impure are the calls of otherwise pure packages that look around or act.
var impure = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"io":   {"Pipe"},
}

// eachPure visits the files of a pure package that are neither tests nor for tests.
func eachPure(p *Package, visit func(*File)) {
	room, ok := roomOf(p.Dir)
	if !ok || !room.Pure || isTesting(p.Dir) {
		return
	}
	for _, f := range p.Files {
		if !f.Test {
			visit(f)
		}
	}
}

func checkPureImports(t *Tree, p *Package, tell tell) {
	eachPure(p, func(f *File) {
		for _, spec := range f.AST.Imports {
			imported := importPath(spec)
			if _, inside := t.local(imported); inside {
				continue
			}
			home, known := pureModules[imported]
			if slices.Contains(pureImports, imported) || known && within(p.Dir, home) {
				continue
			}
			tell(f.Path, t.line(spec.Pos()), "%s decides and never acts, so it may not import %s: take the fact as a value "+
				"from the caller, or move the acting to a room that is not pure", p.Dir, imported)
		}
	})
}

func checkPureCalls(t *Tree, p *Package, tell tell) {
	eachPure(p, func(f *File) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if pkg, name, ok := f.selected(n); ok && slices.Contains(impure[pkg], name) {
				tell(f.Path, t.line(n.Pos()), "%s uses %s.%s, but a pure room has no clock and no console: "+
					"time is the snapshot's At, and what it has to say it returns", p.Dir, pkg, name)
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if fn, ok := call.Fun.(*ast.Ident); ok && fn.Obj == nil && (fn.Name == "print" || fn.Name == "println") {
					tell(f.Path, t.line(n.Pos()), "%s calls %s, but a pure room has no console: return what it has to say", p.Dir, fn.Name)
				}
			}
			return true
		})
	})
}

func checkPureGoroutines(t *Tree, p *Package, tell tell) {
	eachPure(p, func(f *File) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			what := ""
			switch n := n.(type) {
			case *ast.GoStmt:
				what = "starts a goroutine"
			case *ast.SelectStmt:
				what = "waits in a select"
			case *ast.ChanType:
				what = "has a channel"
			case *ast.SendStmt:
				what = "sends on a channel"
			case *ast.UnaryExpr:
				if n.Op == token.ARROW {
					what = "receives from a channel"
				}
			}
			if what != "" {
				tell(f.Path, t.line(n.Pos()), "%s %s, but a pure room computes in one go: "+
					"let the caller run it concurrently, if he must", p.Dir, what)
			}
			return true
		})
	})
}
