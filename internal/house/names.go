package house

import (
	"go/ast"
	"slices"
)

// checkNames wants a sentence beside every exported name. The names of a
// group may share the group's, and a method without one must be among those
// that an interface of the standard library asks for.
func checkNames(t *Tree, p *Package, tell tell) {
	if p.isMain() {
		return
	}
	for _, f := range p.Files {
		if f.Test || f.generated() {
			continue
		}
		for _, decl := range f.AST.Decls {
			for _, name := range unsaid(decl) {
				tell(f.Path, t.line(name.Pos()), "the exported name %s has no comment: say in a sentence what it is, with its "+
					"units, shapes and errors, or do not export it", name.Name)
			}
		}
	}
}

// wellKnown are the methods whose meaning an interface of the standard library fixes.
var wellKnown = []string{
	"Error", "String", "Unwrap", "Is", "As", "Len", "Less", "Swap", "Push", "Pop", "Read", "Write", "Close",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "MarshalYAML", "UnmarshalYAML", "LogValue",
}

// unsaid gives the exported names of a declaration that have no comment.
func unsaid(decl ast.Decl) []*ast.Ident {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Doc != nil || !decl.Name.IsExported() {
			return nil
		}
		if decl.Recv != nil && (!receiver(decl).IsExported() || slices.Contains(wellKnown, decl.Name.Name)) {
			return nil
		}
		return []*ast.Ident{decl.Name}
	case *ast.GenDecl:
		if decl.Doc != nil {
			return nil
		}
		var names []*ast.Ident
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
					names = append(names, spec.Name)
				}
			case *ast.ValueSpec:
				if spec.Doc == nil && spec.Comment == nil && spec.Names[0].IsExported() {
					names = append(names, spec.Names[0])
				}
			}
		}
		return names
	}
	return nil
}

// receiver gives the name of a method's type.
func receiver(fn *ast.FuncDecl) *ast.Ident {
	if name := rootOf(fn.Recv.List[0].Type); name != nil {
		return name
	}
	return fn.Name
}
