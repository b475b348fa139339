package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

// acknowledged reads the workers' acknowledgement of a stop and believes it only after the checkpoint that it names
// has been read and its sums compared. Nil with a nil error: nobody acknowledged.
func acknowledged(dir attempt.Dir, name, workdir string) (*nexus.Ack, error) {
	ack, err := dir.Ack()
	if attempt.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ack.Attempt != name {
		return nil, fmt.Errorf("the acknowledgement is for %q, not for %q", ack.Attempt, name)
	}
	ack.Path = below(workdir, ack.Path)
	manifest, err := readManifest(ack.Path)
	if err != nil {
		return nil, fmt.Errorf("the acknowledged checkpoint %s is not valid: %w", ack.Path, err)
	}
	if manifest.Step != ack.Step {
		return nil, fmt.Errorf("the acknowledged checkpoint %s is of step %d, not %d", ack.Path, manifest.Step, ack.Step)
	}
	if err := verify(manifest, filepath.Dir(ack.Path)); err != nil {
		return nil, fmt.Errorf("the acknowledged checkpoint %s is not valid: %w", ack.Path, err)
	}
	return &ack, nil
}

func readManifest(checkpoint string) (m nexus.Manifest, err error) {
	data, err := os.ReadFile(checkpoint + nexus.ManifestSuffix)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(data, &m)
}

// verify compares every file of a checkpoint with its manifest.
func verify(m nexus.Manifest, dir string) error {
	if len(m.Files) == 0 {
		return errors.New("its manifest names no file")
	}
	for _, want := range m.Files {
		if !filepath.IsLocal(want.Name) {
			return fmt.Errorf("its manifest names %q, which is somewhere else", want.Name)
		}
		size, sum, err := digest(filepath.Join(dir, want.Name))
		switch {
		case err != nil:
			return err
		case size != want.Size:
			return fmt.Errorf("%s has %d bytes, not %d", want.Name, size, want.Size)
		case sum != want.SHA256:
			return fmt.Errorf("%s is not what was written: its checksum differs", want.Name)
		}
	}
	return nil
}

func digest(path string) (size int64, sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

// sinceCheckpoint is how old the newest checkpoint at path is, by the wall clock that dates files; false where there is
// none. Path is a checkpoint, or a directory of some, or of one directory per job.
func sinceCheckpoint(path, job string) (time.Duration, bool) {
	manifests := []string{path + nexus.ManifestSuffix}
	for _, dir := range []string{path, filepath.Join(path, job)} {
		found, _ := filepath.Glob(filepath.Join(dir, "*"+nexus.ManifestSuffix))
		manifests = append(manifests, found...)
	}
	var newest time.Time
	for _, manifest := range manifests {
		if info, err := os.Stat(manifest); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return max(0, time.Since(newest)), !newest.IsZero()
}
