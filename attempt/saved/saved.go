package saved

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Manifest reads what makes the checkpoint at path valid.
func Manifest(path string) (m nexus.Manifest, err error) {
	data, err := os.ReadFile(path + nexus.ManifestSuffix)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(data, &m)
}

// Verify compares every file of a checkpoint in dir with its manifest. It reads all of them, until ctx ends.
func Verify(ctx context.Context, m nexus.Manifest, dir string) error {
	return compare(m, dir, func(path string) (int64, string, error) { return digest(ctx, path) })
}

// look compares only what is known without reading: that the files are there, and how long they are.
func look(m nexus.Manifest, dir string) error {
	return compare(m, dir, func(path string) (int64, string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, "", err
		}
		return info.Size(), "", nil
	})
}

// compare compares the files with what measure says of each: its size and, unless empty, its sum.
func compare(m nexus.Manifest, dir string, measure func(path string) (int64, string, error)) error {
	if len(m.Files) == 0 {
		return errors.New("its manifest names no file")
	}
	for _, want := range m.Files {
		if !filepath.IsLocal(want.Name) {
			return fmt.Errorf("its manifest names %q, which is somewhere else", want.Name)
		}
		size, sum, err := measure(filepath.Join(dir, want.Name))
		switch {
		case err != nil:
			return err
		case size != want.Size:
			return fmt.Errorf("%s has %d bytes, not %d", want.Name, size, want.Size)
		case sum != "" && sum != want.SHA256:
			return fmt.Errorf("%s is not what was written: its checksum differs", want.Name)
		}
	}
	return nil
}

func digest(ctx context.Context, path string) (size int64, sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	hash, buf := sha256.New(), make([]byte, 1<<20)
	for ctx.Err() == nil {
		n, err := file.Read(buf)
		hash.Write(buf[:n])
		size += int64(n)
		if err == io.EOF {
			return size, hex.EncodeToString(hash.Sum(nil)), nil
		}
		if err != nil {
			return size, "", err
		}
	}
	return size, "", ctx.Err()
}

// List tells of a job's checkpoints, newest epoch and step first. Path is a checkpoint, a directory of some, or one of a
// directory per job. Unless quick, each is read and its checksums are compared; else only sizes are.
func List(ctx context.Context, path, job string, quick bool) ([]nexus.Saved, error) {
	var list []nexus.Saved
	for _, manifest := range manifests(path, job) {
		one, err := read(ctx, strings.TrimSuffix(manifest, nexus.ManifestSuffix), quick)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b nexus.Saved) int {
		return cmp.Or(cmp.Compare(b.Epoch.Attempt, a.Epoch.Attempt), cmp.Compare(b.Epoch.Round, a.Epoch.Round),
			cmp.Compare(b.Step, a.Step), strings.Compare(b.Path, a.Path))
	})
	return list, nil
}

// read fails only when ctx ends: what is wrong with a checkpoint is part of the answer.
func read(ctx context.Context, path string, quick bool) (nexus.Saved, error) {
	one := nexus.Saved{Path: path}
	info, err := os.Stat(path + nexus.ManifestSuffix)
	if err == nil {
		one.At = info.ModTime()
	}
	m, err := Manifest(path)
	if err == nil {
		one.Step, one.Epoch, one.WorldSize = m.Step, m.Epoch, m.WorldSize
		for _, file := range m.Files {
			one.Size += file.Size
		}
		if err = look(m, filepath.Dir(path)); err == nil && !quick {
			err = Verify(ctx, m, filepath.Dir(path))
			one.Compared = true
		}
	} else {
		err = fmt.Errorf("its manifest cannot be read: %w", err)
	}
	if ctx.Err() != nil {
		return one, ctx.Err()
	}
	if one.Valid = err == nil; !one.Valid {
		one.Wrong = err.Error()
	}
	return one, nil
}

// manifests finds those of a job. Where it has a directory of its own, the others are not its.
func manifests(path, job string) []string {
	own := inside(filepath.Join(path, job))
	if len(own) > 0 {
		return own
	}
	found := inside(path)
	if _, err := os.Lstat(path + nexus.ManifestSuffix); err == nil {
		found = append(found, path+nexus.ManifestSuffix)
	}
	return found
}

func inside(dir string) (found []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, nexus.ManifestSuffix) && !strings.HasPrefix(name, ".") {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return found
}

// Age is how old the newest checkpoint of a job is, by the wall clock that dates files; false where there is none. Path
// is as for [List].
func Age(path, job string) (time.Duration, bool) {
	var newest time.Time
	for _, manifest := range manifests(path, job) {
		if info, err := os.Stat(manifest); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return max(0, time.Since(newest)), !newest.IsZero()
}
