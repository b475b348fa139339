package house

import (
	"go/ast"
	"go/token"
	"slices"
)

// cheap are the calls that may give a package-level variable its value: they
// compute a constant that Go cannot write as one. Of the packages with no
// names, everything is cheap.
var cheap = map[string][]string{
	"errors":     {"New", "Join"},
	"fmt":        {"Errorf", "Sprintf"},
	"regexp":     {"MustCompile"},
	"strings":    {"NewReplacer", "Repeat"},
	"sync":       {"OnceFunc", "OnceValue", "OnceValues"},
	"reflect":    {"TypeFor", "TypeOf"},
	"math/big":   {"NewInt"},
	"net/netip":  {"MustParseAddr", "MustParsePrefix"},
	"time":       {"Duration", "Date", "Unix", "Month"},
	"os":         {"FileMode"},
	"io/fs":      {"FileMode"},
	"syscall":    {"Signal"},
	"math":       nil,
	"math/bits":  nil,
	"unsafe":     nil,
	"hash/crc32": {"MakeTable"},
}

// checkInit wants nothing of ours to work before main: no func init, and no
// package-level variable whose value takes a call that is not cheap. Every
// agent is a process that pays for it.
func checkInit(t *Tree, p *Package, tell tell) {
	for _, f := range p.Files {
		for _, decl := range f.AST.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.Name == "init" {
				tell(f.Path, t.line(fn.Pos()), "func init works before main, in every process that links %s: "+
					"do it in a constructor that the caller names", p.Dir)
			}
		}
	}
	types := typeNames(p)
	for _, v := range packageVars(p) {
		if v.value == nil {
			continue
		}
		ast.Inspect(v.value, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				_, later := n.(*ast.FuncLit)
				return !later
			}
			if !t.isCheap(v.file, types, call.Fun) {
				tell(v.file.Path, t.line(call.Pos()), "the value of the package-level variable %s is computed by a call before main: "+
					"make it a function, sync.OnceValue, or a field", v.name.Name)
				return false
			}
			return true
		})
	}
}

// isCheap says whether the called expression is a conversion, a builtin or one
// of the cheap functions.
func (t *Tree) isCheap(f *File, types []string, fn ast.Expr) bool {
	switch fn := fn.(type) {
	case *ast.ArrayType, *ast.MapType, *ast.FuncType, *ast.InterfaceType:
		return true
	case *ast.ParenExpr:
		return t.isCheap(f, types, fn.X)
	case *ast.StarExpr:
		return t.isCheap(f, types, fn.X)
	case *ast.IndexExpr:
		return t.isCheap(f, types, fn.X)
	case *ast.Ident:
		return slices.Contains(types, fn.Name) || slices.Contains(predeclared, fn.Name)
	case *ast.SelectorExpr:
		pkg, name, ok := f.selected(fn)
		if !ok {
			return false
		}
		if dir, inside := t.local(pkg); inside {
			return t.hasType(dir, name)
		}
		names, known := cheap[pkg]
		return known && (names == nil || slices.Contains(names, name))
	}
	return false
}

// predeclared are the builtin functions that only compute, and the types.
var predeclared = []string{
	"append", "cap", "complex", "imag", "len", "make", "max", "min", "new", "real",
	"any", "bool", "byte", "complex64", "complex128", "error", "float32", "float64", "int", "int8", "int16", "int32",
	"int64", "rune", "string", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr",
}

func typeNames(p *Package) []string {
	var names []string
	for _, f := range p.Files {
		for _, decl := range f.AST.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, s := range gen.Specs {
				names = append(names, s.(*ast.TypeSpec).Name.Name)
			}
		}
	}
	return names
}

func (t *Tree) hasType(dir, name string) bool {
	return slices.ContainsFunc(t.Packages, func(p *Package) bool {
		return p.Dir == dir && slices.Contains(typeNames(p), name)
	})
}
