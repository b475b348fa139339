package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestHouse judges the repository itself.
func TestHouse(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) < 2 || len(tree.Texts) < 10 {
		t.Fatalf("the walk saw %d packages and %d texts: it does not look at the repository", len(tree.Packages), len(tree.Texts))
	}
	for _, b := range Check(tree) {
		t.Error(b)
	}
}

// TestScripts judges the small trees of testdata. A script opens with its
// story; a line "want PATH:LINE: RULE: words" expects a breach whose sentence
// holds the words, in the order of paths and lines, and nothing else is
// expected.
func TestScripts(t *testing.T) {
	for _, s := range scripts(t) {
		t.Run(s.name, func(t *testing.T) {
			tree, err := Load(s.tree)
			if err != nil {
				t.Fatal(err)
			}
			got := Check(tree)
			for i := range max(len(got), len(s.want)) {
				switch {
				case i >= len(got):
					t.Errorf("not caught: %s", s.want[i])
				case i >= len(s.want):
					t.Errorf("unexpected: %s", got[i])
				case !meets(got[i], s.want[i]):
					t.Errorf("breach %d is\n  %s\nwant\n  %s", i+1, got[i], s.want[i])
				}
			}
		})
	}
}

// TestEveryRuleCanFail wants a script that breaks each rule, and a sentence
// that says what to do.
func TestEveryRuleCanFail(t *testing.T) {
	broken := map[string]bool{}
	for _, s := range scripts(t) {
		tree, err := Load(s.tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range Check(tree) {
			broken[b.Rule] = true
			if b.Line < 1 || !strings.Contains(b.Sentence, ":") && !strings.Contains(b.Sentence, ", but ") {
				t.Errorf("%s: a breach says where it is, what is wrong and what to do", b)
			}
		}
	}
	for _, r := range rules {
		if !broken[r.name] {
			t.Errorf("no script of testdata breaks the rule %q: a rule that cannot fail is a defect", r.name)
		}
	}
}

func TestRoomsAreTidy(t *testing.T) {
	for i, r := range rooms {
		if r.Floor < 1 || r.Floor > 6 {
			t.Errorf("%s is on floor %d; the house has six", r.Path, r.Floor)
		}
		if found, _ := roomOf(r.Path + "/deep/inside"); found != r {
			t.Errorf("what lies deep inside %s is said to be in %s", r.Path, found.Path)
		}
		for _, other := range rooms[i+1:] {
			if r.Path == other.Path {
				t.Errorf("%s stands twice in the table", r.Path)
			}
			if other.Floor > r.Floor {
				t.Errorf("%s stands below %s in the table and above it in the house", other.Path, r.Path)
			}
		}
	}
}

func TestLoadNeedsAModuleAndSourcesThatParse(t *testing.T) {
	for name, tree := range map[string]fstest.MapFS{
		"no go.mod":      {"nexus/doc.go": {Data: []byte("package nexus\n")}},
		"no module line": {"go.mod": {Data: []byte("go 1.26\n")}},
		"not Go":         {"go.mod": {Data: []byte("module m\n")}, "nexus/doc.go": {Data: []byte("pakcage nexus\n")}},
	} {
		if _, err := Load(tree); err == nil {
			t.Errorf("%s: loaded without an error", name)
		}
	}
}

type script struct {
	name string
	want []string
	tree fs.FS
}

func scripts(t *testing.T) []script {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("testdata has no scripts")
	}
	var all []script
	for _, p := range paths {
		archive, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		s := script{name: strings.TrimSuffix(filepath.Base(p), ".txtar")}
		for line := range strings.Lines(string(archive.Comment)) {
			if want, ok := strings.CutPrefix(line, "want "); ok {
				s.want = append(s.want, strings.TrimSpace(want))
			}
		}
		tree := fstest.MapFS{}
		for _, f := range archive.Files {
			if slices.Contains([]string{"", "."}, f.Name) {
				t.Fatalf("%s: a file has no name", p)
			}
			tree[f.Name] = &fstest.MapFile{Data: f.Data}
		}
		s.tree = tree
		all = append(all, s)
	}
	return all
}

// meets says whether the breach is the one of a line "PATH:LINE: RULE: words".
func meets(b Breach, want string) bool {
	where, words, _ := strings.Cut(want, ": "+b.Rule+": ")
	return strings.HasPrefix(b.String(), where+": "+b.Rule+": ") && strings.Contains(b.Sentence, words) && words != ""
}
