package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// checkState wants no package to keep state: a package-level variable has a
// value from its declaration and keeps it, so that two daemons can run in one
// process. Tests are free.
func checkState(t *Tree, p *Package, tell tell) {
	vars := packageVars(p)
	for _, v := range vars {
		if v.embedded {
			continue
		}
		if why := stateful(v); why != "" {
			tell(v.file.Path, t.line(v.name.Pos()), "the package-level variable %s %s: keep state in a value that "+
				"somebody makes, owns and closes", v.name.Name, why)
		}
	}
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		eachWrite(f, func(target ast.Expr) {
			root := rootOf(target)
			if root == nil {
				return
			}
			if pkg, name, ok := f.selected(innermostSelector(target)); ok {
				tell(f.Path, t.line(target.Pos()), "%s changes %s.%s, a variable of another package: "+
					"pass the value to whoever needs it", p.Dir, pkg, name)
				return
			}
			for _, v := range vars {
				if v.is(root) {
					tell(f.Path, t.line(target.Pos()), "%s changes the package-level variable %s (or hands out its address): "+
						"keep state in a value that somebody makes, owns and closes", p.Dir, root.Name)
				}
			}
		})
	}
}

// A packageVar is one package-level variable.
type packageVar struct {
	file     *File
	spec     *ast.ValueSpec
	name     *ast.Ident
	value    ast.Expr // nil if it has none
	embedded bool     // filled by go:embed
}

func packageVars(p *Package) []packageVar {
	var vars []packageVar
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, decl := range f.AST.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if name.Name == "_" {
						continue
					}
					v := packageVar{file: f, spec: spec, name: name, embedded: embeds(gen.Doc) || embeds(spec.Doc)}
					if len(spec.Values) == len(spec.Names) {
						v.value = spec.Values[i]
					} else if len(spec.Values) > 0 {
						v.value = spec.Values[0]
					}
					vars = append(vars, v)
				}
			}
		}
	}
	return vars
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// is says whether the identifier means this variable. The parser resolves
// names within a file; a name that it left open is the package's.
func (v packageVar) is(id *ast.Ident) bool {
	if id.Name != v.name.Name {
		return false
	}
	return id.Obj == nil || id.Obj.Decl == v.spec
}

// stateful says why a variable can only be meant as state, or "".
func stateful(v packageVar) string {
	if v.value == nil && v.spec.Type == nil {
		return ""
	}
	if v.value == nil {
		return "is declared without a value"
	}
	value := v.value
	if u, ok := value.(*ast.UnaryExpr); ok && u.Op == token.AND {
		value = u.X
	}
	if lit, ok := value.(*ast.CompositeLit); ok {
		if pkg, name, ok := v.file.selected(lit.Type); ok && (pkg == "sync" || pkg == "sync/atomic") {
			return "is a " + pkg + "." + name
		}
	}
	if call, ok := value.(*ast.CallExpr); ok {
		if fn, ok := call.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
			return "is made empty, to be filled later"
		}
	}
	return ""
}

// eachWrite visits whatever a function of the file assigns to, counts up,
// deletes from, clears, or takes the address of.
func eachWrite(f *File, visit func(target ast.Expr)) {
	for _, decl := range f.AST.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, target := range n.Lhs {
						visit(target)
					}
				}
			case *ast.IncDecStmt:
				visit(n.X)
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					for _, target := range []ast.Expr{n.Key, n.Value} {
						if target != nil {
							visit(target)
						}
					}
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					visit(n.X)
				}
			case *ast.CallExpr:
				fn, ok := n.Fun.(*ast.Ident)
				if ok && fn.Obj == nil && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, fn.Name) {
					visit(n.Args[0])
				}
			}
			return true
		})
	}
}

// rootOf gives the variable that an expression such as (*a.b[i]).c belongs to.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// innermostSelector gives a.b of an expression such as a.b.c[i], or nil.
func innermostSelector(e ast.Expr) ast.Node {
	var last ast.Node
	for {
		switch x := e.(type) {
		case *ast.SelectorExpr:
			last, e = x, x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return last
		}
	}
}
