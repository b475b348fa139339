package code

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// mostUnpacked bounds what an archive may become, in bytes.
const mostUnpacked = 1 << 30

// Unpack lays an archive out in a directory that is there. Nothing is written before its sum is right, and nothing
// outside the directory.
func Unpack(data []byte, sum, dir string) error {
	if is := sha256.Sum256(data); hex.EncodeToString(is[:]) != sum {
		return errors.New("the code is not what was packed: its checksum is another")
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("unpacking code: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	in := tar.NewReader(io.LimitReader(zip, mostUnpacked))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = lay(root, h, in)
		}
		if err != nil {
			return fmt.Errorf("unpacking code: %w", err)
		}
	}
}

// lay writes one entry.
func lay(root *os.Root, h *tar.Header, in io.Reader) error {
	name := filepath.FromSlash(h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		name = filepath.Clean(name)
		if err := root.MkdirAll(name, 0o775); err != nil {
			return err
		}
		return root.Chmod(name, 0o775) // whatever the umask: who works here has only the group in common with who unpacks
	case tar.TypeSymlink:
		if !inside(h.Name, h.Linkname) {
			return fmt.Errorf("%s leads outside", h.Name)
		}
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(h.Mode)&0o755)
		if err != nil {
			return err
		}
		mode := os.FileMode(h.Mode) & 0o755
		if err := out.Chmod(mode | mode&0o700>>3); err != nil {
			return errors.Join(err, out.Close())
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Close())
	}
	return fmt.Errorf("%s is neither file, directory nor link", h.Name)
}
