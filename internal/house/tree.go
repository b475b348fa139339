package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Tree is a repository as far as the rules care.
type Tree struct {
	Module   string     // module path, such as "ainexus.io"
	Packages []*Package // in order of their directories; nested modules and testdata are left out
	Texts    []Text     // every text that people read, Go sources, nested modules and testdata included

	fset *token.FileSet
}

// A Package is one directory of Go sources.
type Package struct {
	Dir   string // slash-separated, "." for the module's root
	Files []*File
}

// A File is one parsed Go source.
type File struct {
	Path  string
	Test  bool // its name ends in _test.go
	Lines int
	AST   *ast.File

	imports map[string]string // name in this file -> import path
}

// A Text is one file as written.
type Text struct {
	Path string
	Body string
}

// textNames are the endings of the files that people write here.
var textNames = []string{
	".go", ".md", ".sh", ".py", ".yaml", ".yml", ".json", ".toml", ".sql",
	".html", ".css", ".js", "Makefile", "Dockerfile", ".ci/run", "go.mod",
}

// Load reads the repository whose root is fsys. A Go source that cannot be
// parsed is an error: nothing can be said about it.
func Load(fsys fs.FS) (*Tree, error) {
	module, err := moduleOf(fsys)
	if err != nil {
		return nil, err
	}
	t := &Tree{Module: module, fset: token.NewFileSet()}
	packages := map[string]*Package{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !isText(name) {
			return nil
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		t.Texts = append(t.Texts, Text{Path: name, Body: string(body)})
		if path.Ext(name) != ".go" || !ours(fsys, path.Dir(name)) {
			return nil
		}
		f, err := parse(t.fset, name, body)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if packages[dir] == nil {
			packages[dir] = &Package{Dir: dir}
			t.Packages = append(t.Packages, packages[dir])
		}
		packages[dir].Files = append(packages[dir].Files, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return t, nil
}

func moduleOf(fsys fs.FS) (string, error) {
	body, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return "", fmt.Errorf("reading the module's name: %w", err)
	}
	for line := range strings.Lines(string(body)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name), nil
		}
	}
	return "", fmt.Errorf("reading the module's name: go.mod has no module line")
}

// skipped says whether nothing below the directory was written for people:
// hidden directories, what the go command ignores, and the broken trees that
// this package's own test needs.
func skipped(dir string) bool {
	base := path.Base(dir)
	if dir == "." || dir == ".ci" {
		return false
	}
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") ||
		base == "node_modules" || base == "__pycache__" || dir == "internal/house/testdata"
}

func isText(name string) bool {
	return slices.ContainsFunc(textNames, func(end string) bool { return strings.HasSuffix(name, end) })
}

// ours says whether the directory's Go sources belong to this module: no
// testdata and no go.mod of its own on the way up to the root.
func ours(fsys fs.FS, dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if path.Base(dir) == "testdata" {
			return false
		}
		if _, err := fs.Stat(fsys, path.Join(dir, "go.mod")); err == nil {
			return false
		}
	}
	return true
}

func parse(fset *token.FileSet, name string, body []byte) (*File, error) {
	syntax, err := parser.ParseFile(fset, name, body, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parsing: %w", err)
	}
	f := &File{
		Path:    name,
		Test:    strings.HasSuffix(name, "_test.go"),
		Lines:   fset.File(syntax.Pos()).LineCount(),
		AST:     syntax,
		imports: map[string]string{},
	}
	for _, spec := range syntax.Imports {
		f.imports[importName(spec)] = importPath(spec)
	}
	return f, nil
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic("house: the parser let a bad import path pass: " + spec.Path.Value)
	}
	return p
}

// importName is the name by which the file knows the package: the one it gave,
// else the path's last element without a major version.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := importPath(spec)
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(p))
	}
	base, _, _ = strings.Cut(base, ".")
	return base
}

// isMain says whether the package is a command.
func (p *Package) isMain() bool {
	return slices.ContainsFunc(p.Files, func(f *File) bool { return !f.Test && f.AST.Name.Name == "main" })
}

// generated says whether a program wrote the file.
func (f *File) generated() bool { return ast.IsGenerated(f.AST) }

// selected gives the import path and the name of an expression such as
// time.Now, if its left side is an import of this file.
func (f *File) selected(n ast.Node) (pkg, name string, ok bool) {
	sel, isSel := n.(*ast.SelectorExpr)
	if !isSel {
		return "", "", false
	}
	left, isIdent := sel.X.(*ast.Ident)
	if !isIdent || left.Obj != nil {
		return "", "", false
	}
	pkg, ok = f.imports[left.Name]
	return pkg, sel.Sel.Name, ok
}
