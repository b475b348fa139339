package gpu

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Link is how two GPUs of this machine reach each other, in nvidia-smi's words: NV12 (so many NVLinks), PIX, PXB, PHB, NODE or
// SYS (from one PCIe switch to across the sockets).
type Link struct {
	A    int    `json:"a"` // indices; A is the lower
	B    int    `json:"b"`
	Kind string `json:"kind"`
}

// Direct says whether NVLinks join the two.
func (l Link) Direct() bool { return strings.HasPrefix(l.Kind, "NV") }

// Links asks nvidia-smi for the links between GPUs; path is the program, empty for the one on PATH. A machine without it has
// an error, one with a single GPU no links.
func Links(ctx context.Context, path string) ([]Link, error) {
	s, err := openSMI(path)
	if err != nil {
		return nil, err
	}
	out, err := s.run(ctx, "topo", "-m")
	if err != nil {
		return nil, err
	}
	return parseLinks(out)
}

// parseLinks reads the matrix: a head with the names of columns, and a row for each device. Rows and columns of network cards
// are passed over.
func parseLinks(text string) ([]Link, error) {
	text = colours().ReplaceAllString(text, "")
	var columns []int // GPU of each column; -1: something else
	var links []Link
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		name := strings.TrimSpace(cells[0])
		if columns == nil {
			if name == "" && len(cells) > 1 && gpuNumber(cells[1]) >= 0 {
				for _, cell := range cells[1:] {
					columns = append(columns, gpuNumber(cell))
				}
			}
			continue
		}
		row := gpuNumber(name)
		if row < 0 {
			continue
		}
		for i, cell := range cells[1:] {
			if i < len(columns) && columns[i] > row {
				links = append(links, Link{row, columns[i], clean(cell, 8)})
			}
		}
	}
	if columns == nil {
		return nil, fmt.Errorf("nvidia-smi topo -m prints no matrix: %s", clean(text, 200))
	}
	return links, nil
}

// colours are what underlines the head on a terminal, and in some versions elsewhere.
func colours() *regexp.Regexp { return regexp.MustCompile(`\x1b\[[0-9;]*m`) }

// gpuNumber reads "GPU3"; anything else is -1.
func gpuNumber(name string) int {
	text, ok := strings.CutPrefix(strings.TrimSpace(name), "GPU")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 0 {
		return -1
	}
	return n
}
