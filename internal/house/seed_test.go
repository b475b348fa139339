package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSeed checks docs/seed.md: each of the seed's tests is answered by tests of ours that exist.
func TestSeed(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs/seed.md"))
	if err != nil {
		t.Fatal(err)
	}
	// A row is: | the seed's class | its test | `package`: `Test...`, `Test...` |
	rows := regexp.MustCompile(`(?m)^\| [^|]+ \| [^|]+ \| (.*\x60.*) \|$`).FindAllSubmatch(text, -1)
	if len(rows) != 17 {
		t.Errorf("docs/seed.md has %d rows: the seed had 17 tests", len(rows))
	}
	answer := regexp.MustCompile("`([a-z0-9/]+)`((?:[:,] `Test[A-Za-z0-9_]+`)+)")
	name := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	for _, row := range rows {
		answers := answer.FindAllSubmatch(row[1], -1)
		if len(answers) == 0 {
			t.Errorf("docs/seed.md: this row names no package and test: %s", row[0])
		}
		for _, a := range answers {
			have := testsOf(t, filepath.Join(root, string(a[1])))
			for _, n := range name.FindAllSubmatch(a[2], -1) {
				if !have[string(n[1])] {
					t.Errorf("docs/seed.md: there is no test %s in %s: name the one that holds this now", n[1], a[1])
				}
			}
		}
	}
}

// testsOf lists the tests of a package by name.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}
