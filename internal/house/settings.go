package house

import (
	"go/ast"
	"slices"
)

// outside are the names that read what the process was started with.
var outside = map[string][]string{
	"os": {"Args", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv",
		"UserHomeDir", "UserConfigDir", "UserCacheDir"},
	"syscall":               {"Getenv", "Environ", "Setenv", "Unsetenv", "Clearenv"},
	"golang.org/x/sys/unix": {"Getenv", "Environ", "Setenv", "Unsetenv", "Clearenv"},
}

// checkSettings wants flags and environment to be read in cli and handed down
// as values. Programs of their own (bench, examples) read theirs; cmd hands
// its arguments to cli; a training program's environment is read by one file
// of train. Tests are free.
func checkSettings(t *Tree, p *Package, tell tell) {
	if under(p.Dir, []string{"cli", "bench", "examples"}) || isTesting(p.Dir) {
		return
	}
	reader := ""
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, spec := range f.AST.Imports {
			if importPath(spec) == "flag" {
				tell(f.Path, t.line(spec.Pos()), "%s reads flags, but flags end in cli: take a field of app.Options", p.Dir)
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			pkg, name, ok := f.selected(n)
			switch {
			case !ok || !slices.Contains(outside[pkg], name):
			case within(p.Dir, "cmd") && name == "Args":
			case p.Dir == "train" && (reader == "" || reader == f.Path):
				reader = f.Path
			case p.Dir == "train":
				tell(f.Path, t.line(n.Pos()), "train reads %s.%s here and the environment in %s too: read it in one file", pkg, name, reader)
			default:
				tell(f.Path, t.line(n.Pos()), "%s reads %s.%s, but what the process was started with is read in cli: "+
					"take it as a value", p.Dir, pkg, name)
			}
			return true
		})
	}
}
