package gpu

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// request is one line to the child. It carries the settings too, so that the child needs none of its own.
type request struct {
	ID        uint64        `json:"id"`
	Library   string        `json:"library,omitempty"`
	NvidiaSMI string        `json:"nvidia_smi,omitempty"`
	Processes bool          `json:"processes,omitempty"`
	Idle      time.Duration `json:"idle,omitempty"`    // end when not asked for so long; 0 = never
	Skip      []int         `json:"skip,omitempty"`    // device numbers to leave out
	SkipOf    int           `json:"skip_of,omitempty"` // how many devices there were when Skip was numbered
}

// skips tells whether a device is to be left out. When the driver counts otherwise than it did, the numbers may have
// moved and none is.
func (r request) skips(index, count int) bool {
	return count == r.SkipOf && slices.Contains(r.Skip, index)
}

// answer is one line from the child: what it is about to do, or the sample, and last of all that it goes.
type answer struct {
	ID     uint64  `json:"id"`
	At     *int    `json:"at,omitempty"` // about to ask this device, or wholeMachine
	Of     int     `json:"of,omitempty"` // how many devices there are, where At is one of them
	Sample *Sample `json:"sample,omitempty"`
}

// maxLine bounds one line of the protocol: 1024 devices with all their processes fit.
const maxLine = 4 << 20

// ServeChild is the sampler: the hidden verb that Options.Child starts. It reads requests, one JSON line each, answers
// on out, and returns nil when in ends, when ctx ends, or when it is not asked for as long as the last request allowed.
// It returns at once even if a call into the driver is blocked; the caller must then end the process. Nothing else may be written to out.
func ServeChild(ctx context.Context, in io.Reader, out io.Writer) error {
	_, err := serveChild(ctx, in, out, open)
	return err
}

// farewell is how long an ending child waits for a call into the driver to return.
const farewell = time.Second

// serveChild is ServeChild with its source to choose. finished is closed when no call is left inside the driver,
// which may be long after the return.
func serveChild(ctx context.Context, in io.Reader, out io.Writer, open opener) (finished <-chan struct{}, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	requests, ended := make(chan request, 1), make(chan error, 1)
	go func() { ended <- readRequests(in, requests) }()

	served, result := make(chan struct{}), error(nil)
	go func() {
		defer close(served)
		result = (&server{open: open, out: json.NewEncoder(out)}).serve(ctx, requests)
	}()

	select {
	case err = <-ended:
	case <-ctx.Done():
	case <-served:
		return served, result
	}
	cancel()
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-served:
	case <-patience.C:
	}
	return served, err
}

// readRequests hands on the newest request; one that was never begun is replaced by the next.
func readRequests(in io.Reader, requests chan request) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("reading a request to the GPU sampler: %w", err)
		}
		select {
		case <-requests:
		default:
		}
		requests <- r
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading requests to the GPU sampler: %w", err)
	}
	return nil
}

// opener chooses a source, or says why there is none.
type opener func(request) (source, Sample)

// server holds the open source between requests.
type server struct {
	open   opener
	out    *json.Encoder
	source source
}

// serve answers until ctx ends, or until nobody asked for as long as the last request allowed.
func (s *server) serve(ctx context.Context, requests <-chan request) error {
	defer s.drop()
	var idle <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-idle:
			return nil
		case ask := <-requests:
			if err := s.answer(ctx, ask); err != nil {
				return fmt.Errorf("answering for the GPU sampler: %w", err)
			}
			idle = nil
			if ask.Idle > 0 {
				idle = time.After(ask.Idle)
			}
		}
	}
}

// answer reads one sample. A source that fails is closed, so that the next request starts it afresh or finds
// another: a driver that was replaced underneath needs that.
func (s *server) answer(ctx context.Context, ask request) error {
	var broken error
	at := func(index, of int) {
		if err := s.out.Encode(answer{ID: ask.ID, At: &index, Of: of}); err != nil && broken == nil {
			broken = err
		}
	}
	at(wholeMachine, 0)
	var sample Sample
	if s.source == nil {
		s.source, sample = s.open(ask)
	}
	if s.source != nil {
		var err error
		if sample, err = s.source.read(ctx, ask, at); err != nil {
			s.drop()
			sample = Sample{Source: SourceNone, Broken: true, Reason: clean(err.Error(), 500)}
		}
	}
	if broken != nil {
		return broken
	}
	sample.At = time.Now()
	return s.out.Encode(answer{ID: ask.ID, Sample: &sample})
}

func (s *server) drop() {
	if s.source != nil {
		s.source.close()
		s.source = nil
	}
}
