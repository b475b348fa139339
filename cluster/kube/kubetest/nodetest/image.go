package nodetest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Image is an image made of files of this machine.
type Image struct {
	Name  string            // localhost/nexus:1
	Files map[string]string // by path in the image: the file's path here
	Links map[string]string // by path in the image: where the link leads
	User  string            // whom its containers run as; default: root
	Run   []string          // what a container runs that names no command
}

// archive writes an image as `docker save` does, in one layer.
func (i Image) archive(t testing.TB, to string) {
	t.Helper()
	layer := i.layer(t)
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Cmd": i.Run, "User": i.User, "Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{i.Name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	w := tar.NewWriter(&whole)
	for _, f := range []struct {
		name string
		data []byte
	}{{"layer.tar", layer}, {"config.json", config}, {"manifest.json", manifest}} {
		put(t, w, tar.Header{Name: f.name, Mode: 0o644}, f.data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, whole.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// layer is the file system of an image: its files, the directories that they need, and a /tmp for everybody.
func (i Image) layer(t testing.TB) []byte {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	put(t, w, tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	made := map[string]bool{".": true, "tmp": true}
	var directory func(name string)
	directory = func(name string) {
		if made[name] {
			return
		}
		made[name] = true
		directory(path.Dir(name))
		put(t, w, tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Files)) {
		data, err := os.ReadFile(i.Files[name])
		if err != nil {
			t.Fatal(err)
		}
		inside := strings.TrimPrefix(filepath.ToSlash(name), "/")
		directory(path.Dir(inside))
		put(t, w, tar.Header{Name: inside, Mode: 0o755}, data)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Links)) {
		inside := strings.TrimPrefix(name, "/")
		directory(path.Dir(inside))
		put(t, w, tar.Header{Name: inside, Typeflag: tar.TypeSymlink, Linkname: i.Links[name], Mode: 0o777}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return layer.Bytes()
}

func put(t testing.TB, w *tar.Writer, h tar.Header, data []byte) {
	t.Helper()
	h.Size = int64(len(data))
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
}
