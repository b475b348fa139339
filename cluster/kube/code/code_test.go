package code

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ainexus.io/nexus"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// list names the files below a directory.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What is packed comes out as it was, without what .gitignore leaves out; the same files make the same archive.
func TestCodeComesOutAsItWas(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	write(t, dir, map[string]string{
		".gitignore": "*.pt\n/data/\n!keep.pt\nbuild\n", "train.py": "print(1)\n", "model.pt": "weights", "keep.pt": "small", "data/x": "raw",
		"src/data/y": "kept", "src/build/z": "made", "src/.gitignore": "secret*\n", "src/secret.txt": "s", ".git/config": "c", "run.sh": "#!/bin/sh\n",
	})
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("src/data", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	a, err := Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Pack(dir); err != nil || again.Sum != a.Sum {
		t.Errorf("packed again it is another: %v", err)
	}
	if err := Unpack(a.Data, a.Sum, out); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, out), []string{".gitignore", "keep.pt", "link", "run.sh", "src/.gitignore", "src/data/y", "train.py"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, wanted %q", got, want)
	}
	if info, err := os.Stat(filepath.Join(out, "run.sh")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("a program is no longer one: %v", err)
	}
	for name, want := range map[string]os.FileMode{"run.sh": 0o775, "train.py": 0o664, "src": 0o775, "src/data/y": 0o664} { // who works there is in the group only
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has %v, %v; wanted %v", name, info.Mode().Perm(), err, want)
		}
	}
	if text, err := os.ReadFile(filepath.Join(out, "link", "y")); err != nil || string(text) != "kept" {
		t.Errorf("through the link: %q, %v", text, err)
	}
	if err := Unpack(a.Data[:len(a.Data)-1], a.Sum, t.TempDir()); err == nil {
		t.Error("a damaged archive is unpacked")
	}
}

// What is too large, and a link that leads outside, is refused in words.
func TestCodeIsRefused(t *testing.T) {
	dir := t.TempDir()
	noise := make([]byte, Most+1)
	source := rand.NewChaCha8([32]byte{})
	if _, err := source.Read(noise); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"noise": string(noise)})
	var e *nexus.Error
	if _, err := Pack(dir); !errors.As(err, &e) || !strings.Contains(e.Message, "4 MiB") || !strings.Contains(e.Hint, "image") {
		t.Errorf("too large: %v", err)
	}
	dir = t.TempDir()
	if err := os.Symlink("../../etc", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(dir); !errors.As(err, &e) || !strings.Contains(e.Message, "not below") {
		t.Errorf("a link outside: %v", err)
	}
}

// An archive that somebody else made writes nothing outside.
func TestHostileArchiveStaysInside(t *testing.T) {
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "../escaped", Mode: 0o644}, {Typeflag: tar.TypeReg, Name: "/tmp/escaped-by-name", Mode: 0o644},
		{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}, {Typeflag: tar.TypeSymlink, Name: "a/l", Linkname: "../../x"}, {Typeflag: tar.TypeChar, Name: "dev"},
	} {
		var buffer bytes.Buffer
		zip := gzip.NewWriter(&buffer)
		w := tar.NewWriter(zip)
		if err := errors.Join(w.WriteHeader(&h), w.Close(), zip.Close()); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(buffer.Bytes())
		dir := filepath.Join(t.TempDir(), "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Unpack(buffer.Bytes(), hex.EncodeToString(sum[:]), dir); err == nil {
			t.Errorf("%s is unpacked", h.Name)
		}
		if left := list(t, filepath.Dir(dir)); len(left) > 0 {
			t.Errorf("%s left %q", h.Name, left)
		}
	}
}

// The rules leave out what git leaves out.
func TestIgnoredAsGitDoes(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("NOT RUN: there is no git to compare with")
	}
	patterns := []string{"a", "*.b", "/a", "a/", "a/b", "/a/*", "**/b", "a/**", "a/**/c", "!b", "!/a/b", "[ab]", "[!a]", "a?", "*", "!*/", `\!x`, "# no", "a*b", "x/", "!a/b/c", "c "}
	parts := []string{"a", "b", "c", "ab", "x.b", "!x"}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 25 {
		dir := t.TempDir()
		if out, err := exec.Command(git, "init", "-q", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var ignore []string
		for range 1 + random.IntN(4) {
			ignore = append(ignore, patterns[random.IntN(len(patterns))])
		}
		files := map[string]string{}
		for range 12 {
			name := parts[random.IntN(len(parts))]
			for range random.IntN(3) {
				name = "d" + parts[random.IntN(len(parts))] + "/" + name
				if random.IntN(2) == 0 {
					name = strings.TrimPrefix(name, "d")
				}
			}
			files[name] = "x"
		}
		tree := map[string]string{}
		for name := range files { // no file is where a directory is
			clash := false
			for other := range files {
				clash = clash || strings.HasPrefix(other, name+"/")
			}
			if !clash {
				tree[name] = "x"
			}
		}
		tree[".gitignore"] = strings.Join(ignore, "\n") + "\n"
		write(t, dir, tree)
		cmd := exec.Command(git, "-C", dir, "-c", "core.excludesFile=", "-c", "core.quotePath=false", "ls-files", "-co", "--exclude-standard")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(string(out))
		a, err := Pack(dir)
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		if err := Unpack(a.Data, a.Sum, to); err != nil {
			t.Fatal(err)
		}
		got := list(t, to)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: with %q packed are\n%q, and git has\n%q", round, ignore, got, want)
		}
	}
}
