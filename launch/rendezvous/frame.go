package rendezvous

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// magic opens every link.
const magic = "NEXUS-RDZV/1\n"

// The longest frames: of a stranger, and of an agent of the job. A record of 4,096 agents has about 600 KiB.
const (
	strangerFrame = 8 << 10
	memberFrame   = 4 << 20
)

// errBroken is a frame that cannot be meant: too long, altered, or no JSON.
var errBroken = errors.New("not a frame of this protocol")

// sealer makes and checks the sums of one direction; nil does neither.
type sealer struct {
	mac hash.Hash
	seq uint64
}

func newSealer(key []byte, direction string) *sealer {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(direction))
	return &sealer{mac: hmac.New(sha256.New, mac.Sum(nil))}
}

const sumSize = 16

func (s *sealer) sum(payload []byte) []byte {
	s.mac.Reset()
	s.mac.Write(binary.BigEndian.AppendUint64(nil, s.seq))
	s.mac.Write(payload)
	s.seq++
	return s.mac.Sum(nil)[:sumSize]
}

// encode is one frame.
func encode(value any, seal *sealer) ([]byte, error) {
	payload, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, len(payload)+4+sumSize), uint32(len(payload)))
	frame = append(frame, payload...)
	if seal != nil {
		frame = append(frame, seal.sum(payload)...)
	}
	return frame, nil
}

// read takes one frame of at most limit bytes off r.
func read(r *bufio.Reader, limit int, seal *sealer, into any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > uint32(limit) {
		return fmt.Errorf("%w: %d bytes, more than %d", errBroken, size, limit)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return err
	}
	if seal != nil {
		var sum [sumSize]byte
		if _, err := io.ReadFull(r, sum[:]); err != nil {
			return err
		}
		if !hmac.Equal(sum[:], seal.sum(payload)) {
			return fmt.Errorf("%w: its sum is wrong", errBroken)
		}
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("%w: %v", errBroken, err)
	}
	return nil
}
