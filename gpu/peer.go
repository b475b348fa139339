package gpu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// peer is a sampler at the other end of two pipes: a child process, or a goroutine of this one.
type peer struct {
	in     io.WriteCloser
	lines  chan answer   // closed when it has ended
	quit   chan struct{} // closed by end: nobody listens to lines any more
	kill   func()
	ended  chan struct{} // closed when it has ended and nothing of it is left
	cause  error         // why it ended; read after ended or lines is closed
	pid    int           // 0 for a goroutine
	proven bool          // it has answered once

	waiting time.Time // since when an answer, or a sign of life, is due; zero when none is
	at, of  int       // the device it was asking when last heard of
}

// startChild runs the program of Options.Child in a process group of its own, so that an nvidia-smi below it dies with it.
func startChild(argv []string) (*peer, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	said := &bounded{limit: 4 << 10}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the GPU sampler: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the GPU sampler: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the GPU sampler: %w", err)
	}
	p := newPeer(in)
	p.pid = cmd.Process.Pid
	p.kill = func() {
		// Failing means that all are gone.
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	}
	go func() {
		p.listen(out)
		// Whatever it left in its group dies before it is reaped: until then the number is surely its own.
		p.kill()
		err := cmd.Wait()
		if err == nil {
			err = errors.New("it ended")
		}
		if last := clean(lastLine(said.String()), 200); last != "" {
			err = fmt.Errorf("%w: %s", err, last)
		}
		p.cause = err
		close(p.ended)
		close(p.lines)
	}()
	return p, nil
}

// startInside runs the sampler as a goroutine. It cannot be killed: when a call blocks, ended stays open.
func startInside(open opener) *peer {
	requestsOut, requestsIn := io.Pipe()
	answersOut, answersIn := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	p := newPeer(requestsIn)
	p.kill = func() {
		cancel()
		requestsIn.Close()
		answersOut.Close()
	}
	go func() {
		finished, err := serveChild(ctx, requestsOut, answersIn, open)
		cancel()
		requestsOut.Close()
		answersIn.Close()
		<-finished
		p.cause = err
		if err == nil {
			p.cause = errors.New("it ended")
		}
		close(p.ended)
	}()
	go func() {
		p.listen(answersOut)
		close(p.lines)
	}()
	return p
}

func newPeer(in io.WriteCloser) *peer {
	return &peer{in: in, lines: make(chan answer), quit: make(chan struct{}), ended: make(chan struct{}), at: wholeMachine}
}

// listen passes answers on until out ends. What is no answer is passed over: a driver's library may print.
func (p *peer) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var a answer
		if json.Unmarshal(lines.Bytes(), &a) != nil || a.ID == 0 {
			continue
		}
		select {
		case p.lines <- a:
		case <-p.quit:
			return
		}
	}
}

// ask sends one request and waits for its sample. It gives errSilent when the sampler was silent for longer than
// patience, errEnded when it is gone.
func (p *peer) ask(ctx context.Context, r request, patience time.Duration) (Sample, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Sample{}, fmt.Errorf("asking the GPU sampler: %w", err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return Sample{}, errEnded
	}
	if p.waiting.IsZero() {
		p.waiting = time.Now()
	}
	watch := time.NewTimer(time.Until(p.waiting.Add(patience)))
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return Sample{}, ctx.Err()
		case <-watch.C:
			return Sample{}, errSilent
		case a, ok := <-p.lines:
			if !ok {
				return Sample{}, errEnded
			}
			p.waiting = time.Now()
			watch.Reset(patience)
			if a.At != nil {
				p.at, p.of = *a.At, a.Of
			}
			if a.Sample != nil && a.ID == r.ID {
				p.waiting, p.proven, p.at = time.Time{}, true, wholeMachine
				return *a.Sample, nil
			}
		}
	}
}

var (
	errSilent = errors.New("the GPU sampler is silent")
	errEnded  = errors.New("the GPU sampler has ended")
)

// stop ends the sampler: kindly when asked to, by force when it stays. It tells whether it is gone; what the kernel does
// not let go within the time is nobody's to wait for.
func (p *peer) stop(kindly bool) bool {
	close(p.quit)
	p.in.Close()
	if kindly && p.gone(2*farewell) || p.gone(0) {
		return true
	}
	p.kill()
	return p.gone(2 * farewell)
}

// gone waits so long for the sampler's end.
func (p *peer) gone(patience time.Duration) bool {
	select {
	case <-p.ended:
		return true
	default:
	}
	if patience <= 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}
