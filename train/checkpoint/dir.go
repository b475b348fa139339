package checkpoint

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	epochFile      = "EPOCH"
	lockFile       = ".lock"
	manifestSuffix = ".nexus.json"
	tempSuffix     = ".tmp"
	prefix         = "step-"
	// defaultKeep leaves two to fall back on when the newest is damaged.
	defaultKeep = 3
)

// Options say how a directory of checkpoints is used.
type Options struct {
	Writer Writer // who saves; readers need none
	Keep   int    // how many checkpoints are kept; default 3, less than 0 keeps all
}

// Dir is a directory of checkpoints of one training run.
type Dir struct {
	path   string
	writer Writer
	keep   int
	mine   claim
}

// At returns the directory at path, which need not exist. Nothing is read or written.
func At(path string, opts Options) *Dir {
	if opts.Keep == 0 {
		opts.Keep = defaultKeep
	}
	return &Dir{path: path, writer: opts.Writer, keep: opts.Keep}
}

// Manifest makes a checkpoint valid. Fields that it does not know are for others.
type Manifest struct {
	Epoch     Epoch  `json:"epoch"`
	Step      int64  `json:"step"`
	WorldSize int    `json:"world_size"`
	Files     []File `json:"files"`
	Claim     uint64 `json:"claim,omitempty"` // under which claim it was saved
}

// File is one file of a checkpoint. Name is relative to the directory.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Found is a checkpoint.
type Found struct {
	Path     string // P; its manifest is P.nexus.json
	Manifest Manifest
}

// Skipped is a checkpoint that cannot be used, and why.
type Skipped struct {
	Path string
	Err  error
}

// ErrNone says that there is no valid checkpoint.
var ErrNone = errors.New("there is no valid checkpoint")

// Latest returns the newest valid checkpoint, having read and compared all of it, and the newer ones that are not valid.
// Without any the error is [ErrNone].
func (d *Dir) Latest() (Found, []Skipped, error) {
	list, skipped, err := d.list()
	if err != nil {
		return Found{}, nil, err
	}
	for _, found := range list {
		if err := d.Verify(found); err != nil {
			skipped = append(skipped, Skipped{found.Path, err})
			continue
		}
		return found, skipped, nil
	}
	return Found{}, skipped, ErrNone
}

// list returns what has a readable manifest, newest first.
func (d *Dir) list() (list []Found, skipped []Skipped, err error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), manifestSuffix)
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		found := Found{Path: filepath.Join(d.path, name)}
		data, err := os.ReadFile(filepath.Join(d.path, entry.Name()))
		if err == nil {
			err = json.Unmarshal(data, &found.Manifest)
		}
		if err != nil {
			skipped = append(skipped, Skipped{found.Path, fmt.Errorf("reading its manifest: %w", err)})
			continue
		}
		list = append(list, found)
	}
	slices.SortFunc(list, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Manifest.Claim, a.Manifest.Claim),
			cmp.Compare(b.Manifest.Step, a.Manifest.Step), strings.Compare(b.Path, a.Path))
	})
	return list, skipped, nil
}

// Verify compares a checkpoint's files with its manifest.
func (d *Dir) Verify(found Found) error {
	if len(found.Manifest.Files) == 0 {
		return errors.New("its manifest lists no files")
	}
	for _, file := range found.Manifest.Files {
		if !filepath.IsLocal(file.Name) {
			return fmt.Errorf("its manifest lists %q, which is not in the directory", file.Name)
		}
		if err := verify(filepath.Join(d.path, file.Name), file); err != nil {
			return err
		}
	}
	return nil
}

func verify(path string, want File) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != want.Size {
		return fmt.Errorf("%s has %d bytes, not %d", want.Name, info.Size(), want.Size)
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{file}, make([]byte, 1<<20)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("%s is damaged: its SHA-256 is %s, not %s", want.Name, got, want.SHA256)
	}
	return nil
}
