package checkpoint

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Save writes a checkpoint and returns where it is. [Dir.Claim] must have been called. When it fails, also for want of
// space, the checkpoints before it are what they were. Afterwards old ones are removed, all but Keep.
func (d *Dir) Save(state State) (Found, error) {
	found, err := d.save(state)
	if err != nil {
		return Found{}, fmt.Errorf("saving the checkpoint of step %d: %w", state.Step, err)
	}
	return found, nil
}

func (d *Dir) save(state State) (found Found, err error) {
	if d.mine.Number == 0 {
		return found, errors.New("the directory was not claimed")
	}
	name := d.freeName(state.Step)
	file, err := d.writeData(name, state)
	if err != nil {
		return found, err
	}
	defer func() {
		if err != nil {
			os.Remove(filepath.Join(d.path, name))
		}
	}()
	found = Found{Path: filepath.Join(d.path, name), Manifest: Manifest{
		Epoch: d.writer.Epoch, Step: state.Step, WorldSize: state.WorldSize, Files: []File{file}, Claim: d.mine.Number,
	}}
	manifest, err := json.Marshal(found.Manifest)
	if err != nil {
		return found, err
	}

	unlock, err := lock(d.path)
	if err != nil {
		return found, err
	}
	defer unlock()
	if err := d.check(); err != nil {
		return found, err
	}
	if err := replace(found.Path+manifestSuffix, append(manifest, '\n')); err != nil {
		return found, err
	}
	d.tidy(name)
	return found, nil
}

// freeName returns a name that no checkpoint has: a valid one is never written over.
func (d *Dir) freeName(step int64) string {
	name := fmt.Sprintf("%s%012d-%d", prefix, step, d.mine.Number)
	for again := 1; ; again++ {
		candidate := name
		if again > 1 {
			candidate = fmt.Sprintf("%s-%d", name, again)
		}
		if _, err := os.Lstat(filepath.Join(d.path, candidate+manifestSuffix)); err != nil { // not there; nor is any other where the directory is gone
			return candidate
		}
	}
}

// writeData writes the state under its final name, synced. Without a manifest it is not a checkpoint yet.
func (d *Dir) writeData(name string, state State) (f File, err error) {
	file, err := os.CreateTemp(d.path, "."+name+".*"+tempSuffix)
	if err != nil {
		return f, err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	sum := newSummer(file)
	out := bufio.NewWriterSize(sum, 1<<20)
	err = state.Encode(out)
	if err == nil {
		err = out.Flush()
	}
	digest := sum.close()
	if err := settle(file, filepath.Join(d.path, name), err); err != nil {
		return f, err
	}
	return File{Name: name, Size: sum.count, SHA256: hex.EncodeToString(digest)}, nil
}

// summer writes and, at the same time, sums up what it writes.
type summer struct {
	to     io.Writer
	count  int64
	pieces chan []byte
	summed chan struct{} // one for each piece
	digest chan []byte
}

func newSummer(to io.Writer) *summer {
	s := &summer{to: to, pieces: make(chan []byte), summed: make(chan struct{}), digest: make(chan []byte, 1)}
	go func() {
		sum := sha256.New()
		for piece := range s.pieces {
			sum.Write(piece)
			s.summed <- struct{}{}
		}
		s.digest <- sum.Sum(nil)
	}()
	return s
}

// Write returns when the piece is both written and summed up: it may then be written over.
func (s *summer) Write(p []byte) (int, error) {
	s.pieces <- p
	n, err := s.to.Write(p)
	<-s.summed
	s.count += int64(n)
	return n, err
}

// close ends the summing and returns the digest.
func (s *summer) close() []byte {
	close(s.pieces)
	return <-s.digest
}

// tidy removes checkpoints beyond those to keep, and what interrupted saves left. The lock is held and the claim is
// ours, so whoever may still be writing is fenced off. What cannot be removed stays for the next time.
func (d *Dir) tidy(newest string) {
	list, _, err := d.list()
	if err != nil {
		return
	}
	valid := map[string]bool{newest: true}
	for i, found := range list {
		name := filepath.Base(found.Path)
		if d.keep < 0 || i < d.keep || name == newest {
			for _, file := range found.Manifest.Files {
				valid[file.Name] = true
			}
			continue
		}
		if os.Remove(found.Path+manifestSuffix) == nil { // first: without it nobody trusts the rest
			os.RemoveAll(found.Path)
		}
	}
	d.sweep(valid)
}

// sweep removes our files that belong to no checkpoint.
func (d *Dir) sweep(valid map[string]bool) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		temporary := strings.HasPrefix(name, "."+prefix) && strings.HasSuffix(name, tempSuffix)
		orphan := strings.HasPrefix(name, prefix) && !strings.HasSuffix(name, manifestSuffix) && !valid[name]
		if temporary || orphan && entry.Type().IsRegular() && !d.hasManifest(name) {
			os.Remove(filepath.Join(d.path, name))
		}
	}
}

func (d *Dir) hasManifest(name string) bool {
	_, err := os.Lstat(filepath.Join(d.path, name+manifestSuffix))
	return err == nil
}
