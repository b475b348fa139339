package checkpoint

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"unsafe"
)

// State is all that a training run needs to go on.
type State struct {
	Step      int64             // steps done
	Epoch     int               // pass over the data set, from 0
	Offset    int               // samples of this pass that all ranks together have used
	WorldSize int               // ranks that saved it; any number may load it
	Seed      uint64            // of the run
	RNG       [][]byte          // each rank's random state, by rank
	Params    []Tensor          // the model
	Optimizer []Tensor          // what the optimizer remembers
	Extra     map[string]string // whatever else the script wants to find again
}

// Tensor is a named row of float32.
type Tensor struct {
	Name string
	Data []float32
}

// header is the JSON part of the file.
type header struct {
	Step      int64             `json:"step"`
	Epoch     int               `json:"epoch"`
	Offset    int               `json:"offset"`
	WorldSize int               `json:"world_size"`
	Seed      uint64            `json:"seed"`
	RNG       [][]byte          `json:"rng"`
	Params    []shape           `json:"params"`
	Optimizer []shape           `json:"optimizer"`
	Extra     map[string]string `json:"extra,omitempty"`
}

type shape struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

const (
	fileMagic = "nexus checkpoint 1\n"
	maxHeader = 64 << 20
)

// Encode writes the state: magic, u32 length of the header, header, then the tensors' values in the header's order.
func (s State) Encode(w io.Writer) error {
	head, err := json.Marshal(header{
		Step: s.Step, Epoch: s.Epoch, Offset: s.Offset, WorldSize: s.WorldSize, Seed: s.Seed, RNG: s.RNG,
		Params: shapes(s.Params), Optimizer: shapes(s.Optimizer), Extra: s.Extra,
	})
	if err != nil {
		return err
	}
	if len(head) > maxHeader {
		return fmt.Errorf("the header would have %d bytes, more than %d", len(head), maxHeader)
	}
	if _, err := io.WriteString(w, fileMagic); err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(head)))); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, list := range [][]Tensor{s.Params, s.Optimizer} {
		for _, tensor := range list {
			if err := writeFloats(w, tensor.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

func shapes(list []Tensor) []shape {
	out := make([]shape, len(list))
	for i, tensor := range list {
		out[i] = shape{tensor.Name, int64(len(tensor.Data))}
	}
	return out
}

// pieceSize is how many bytes are converted at a time.
const pieceSize = 256 << 10

func writeFloats(w io.Writer, data []float32) error {
	if littleEndian() {
		_, err := w.Write(bytesOf(data))
		return err
	}
	buf := make([]byte, 0, pieceSize)
	for len(data) > 0 {
		n := min(len(data), pieceSize/4)
		buf = buf[:4*n]
		for i, v := range data[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// littleEndian says that numbers lie in memory as they do in the file, so that none needs to be converted.
func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// bytesOf shows the memory of data.
func bytesOf(data []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 4*len(data))
}

// Decode reads what Encode wrote. It believes no length that the input does not bear out.
func Decode(r io.Reader) (State, error) { return decode(r, 0) }

// decode is Decode of an input that is known to have size bytes; 0: not known.
func decode(r io.Reader, size int64) (State, error) {
	start := make([]byte, len(fileMagic)+4)
	if _, err := io.ReadFull(r, start); err != nil || string(start[:len(fileMagic)]) != fileMagic {
		return State{}, errors.New("this is not a checkpoint of ours")
	}
	length := binary.LittleEndian.Uint32(start[len(fileMagic):])
	if length > maxHeader {
		return State{}, fmt.Errorf("the header has %d bytes", length)
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(length)))
	if err != nil {
		return State{}, err
	}
	var head header
	if err := json.Unmarshal(text, &head); err != nil {
		return State{}, fmt.Errorf("reading the header: %w", err)
	}
	s := State{
		Step: head.Step, Epoch: head.Epoch, Offset: head.Offset, WorldSize: head.WorldSize, Seed: head.Seed,
		RNG: head.RNG, Extra: head.Extra,
	}
	if s.Params, err = readTensors(r, head.Params, size); err != nil {
		return State{}, err
	}
	if s.Optimizer, err = readTensors(r, head.Optimizer, size); err != nil {
		return State{}, err
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return State{}, errors.New("there is more than the header lists")
	}
	return s, nil
}

// readTensors allocates at once what an input of size bytes may hold, and otherwise what is really there.
func readTensors(r io.Reader, list []shape, size int64) ([]Tensor, error) {
	tensors := make([]Tensor, len(list))
	for i, sh := range list {
		if sh.Count < 0 {
			return nil, fmt.Errorf("%q has %d values", sh.Name, sh.Count)
		}
		data := make([]float32, 0, min(sh.Count, max(size/4, pieceSize/4)))
		for left := sh.Count; left > 0; {
			n := int(min(left, int64(max(cap(data)-len(data), pieceSize/4))))
			from := len(data)
			data = slices.Grow(data, n)[:from+n]
			if err := readFloats(r, data[from:]); err != nil {
				return nil, fmt.Errorf("reading %q: %w", sh.Name, err)
			}
			left -= int64(n)
		}
		tensors[i] = Tensor{sh.Name, data}
	}
	return tensors, nil
}

// readFloats fills data.
func readFloats(r io.Reader, data []float32) error {
	raw := bytesOf(data)
	if _, err := io.ReadFull(r, raw); err != nil {
		return err
	}
	if !littleEndian() {
		for i := range data {
			data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return nil
}

// Load reads a checkpoint that [Dir.Latest] found.
func Load(found Found) (State, error) {
	file, err := os.Open(found.Path)
	if err != nil {
		return State{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return State{}, err
	}
	state, err := decode(bufio.NewReaderSize(file, 1<<20), info.Size())
	if err != nil {
		return State{}, fmt.Errorf("loading %s: %w", found.Path, err)
	}
	return state, nil
}
