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
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"ainexus.io/nexus"
)

// Most is how many bytes an archive may have, compressed: it is kept in Secrets, and those in the cluster's own store.
const Most = 4 << 20

// Archive is a directory, packed.
type Archive struct {
	Data []byte // tar, gzip
	Sum  string // SHA-256 of Data, in hex
}

// PartName is what the i-th part of an archive is called where it is unpacked.
func PartName(i int) string { return "part-" + strconv.Itoa(i) }

// Pack packs what is in a directory, without .git and what .gitignore files leave out.
func Pack(dir string) (Archive, error) {
	var buffer bounded
	zip := gzip.NewWriter(&buffer)
	p := packer{root: dir, out: tar.NewWriter(zip)}
	err := p.walk("", nil)
	if err == nil {
		err = errors.Join(p.out.Close(), zip.Close())
	}
	if errors.Is(err, errTooLarge) {
		return Archive{}, &nexus.Error{Code: nexus.CodeInvalid, Field: "code",
			Message: fmt.Sprintf("%s is larger than %d MiB when it is packed, which is what code: upload takes", dir, Most>>20),
			Hint:    "leave data out with a .gitignore, or put it into the image or on a volume"}
	}
	if err != nil {
		return Archive{}, fmt.Errorf("packing %s: %w", dir, err)
	}
	sum := sha256.Sum256(buffer.Bytes())
	return Archive{Data: buffer.Bytes(), Sum: hex.EncodeToString(sum[:])}, nil
}

// bounded is a buffer that refuses to grow beyond [Most].
type bounded struct{ bytes.Buffer }

var errTooLarge = errors.New("too large")

func (b *bounded) Write(data []byte) (int, error) {
	if b.Len()+len(data) > Most {
		return 0, errTooLarge
	}
	return b.Buffer.Write(data)
}

type packer struct {
	root string
	out  *tar.Writer
}

// walk packs a directory below the root, in order of name.
func (p *packer) walk(dir string, above []rules) error {
	text, err := os.ReadFile(filepath.Join(p.root, dir, ".gitignore"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := append(above[:len(above):len(above)], readRules(dir, string(text)))
	entries, err := os.ReadDir(filepath.Join(p.root, dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if ignored(all, file, e.IsDir()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			err = p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: file + "/", Mode: 0o755})
			if err == nil {
				err = p.walk(file, all)
			}
		case info.Mode()&fs.ModeSymlink != 0:
			err = p.link(file)
		case info.Mode().IsRegular():
			err = p.file(file, info)
		} // sockets, pipes and devices are no code
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) file(name string, info fs.FileInfo) error {
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	in, err := os.Open(filepath.Join(p.root, name))
	if err != nil {
		return err
	}
	defer in.Close()
	if err := p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	if _, err = io.CopyN(p.out, in, info.Size()); errors.Is(err, io.EOF) {
		return fmt.Errorf("%s became shorter while it was read", name)
	}
	return err
}

// link packs a symbolic link that stays inside.
func (p *packer) link(name string) error {
	to, err := os.Readlink(filepath.Join(p.root, name))
	if err != nil {
		return err
	}
	if !inside(name, to) {
		return &nexus.Error{Code: nexus.CodeInvalid, Field: "code", Message: fmt.Sprintf("%s is a link to %s, which is not below %s", name, to, p.root),
			Hint: "leave it out with a .gitignore, or copy what it means"}
	}
	return p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: filepath.ToSlash(to), Mode: 0o777})
}

// inside reports whether a link at name to another place stays below the root, by its words alone.
func inside(name, to string) bool {
	to = filepath.ToSlash(to)
	return !path.IsAbs(to) && filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(name), to))) && !strings.Contains(to, "\x00")
}
