package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
)

// plane is a control plane that the tests' program lends us.
type plane struct {
	Address, CA, Cert, Key string
	Controller, User       string
	Audit                  string
	PIDs                   map[string]int

	cmd    *exec.Cmd
	input  io.WriteCloser
	client *http.Client
	log    *audit
	say    func(format string, args ...any)
}

// startPlane starts one with so many nodes. It runs until it is stopped, and no longer than we do.
func startPlane(ctx context.Context, b *program.Bench, nodes int) (*plane, error) {
	began := time.Now()
	path := filepath.Join(b.Dir, "plane.test")
	dir := filepath.Join(b.Root, "cluster", "kube", "kubetest")
	if _, err := os.Stat(path); err != nil {
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", path, ".")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the control plane's starter: %w: %s", err, out)
		}
	}
	p := &plane{say: b.Say, cmd: exec.Command(path, "-test.run=TestServe", "-test.timeout="+(b.Most+10*time.Minute).String(), "-serve", "-serve.nodes="+strconv.Itoa(nodes))}
	p.cmd.Dir = dir
	var out bytes.Buffer
	p.cmd.Stdout = &out
	said, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	giveUp := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Signal(os.Interrupt) }) // it may have ended
	defer giveUp()
	lines := bufio.NewScanner(said)
	for p.Address == "" && lines.Scan() {
		if line := lines.Bytes(); bytes.HasPrefix(line, []byte(`{"Address"`)) {
			if err := json.Unmarshal(line, p); err != nil {
				return nil, err
			}
		}
	}
	if p.Address == "" {
		err := errors.Join(lines.Err(), p.cmd.Wait())
		return nil, fmt.Errorf("no control plane came up: %w: %s", err, out.String())
	}
	go io.Copy(io.Discard, said) //nolint:errcheck // so that it never waits for us
	if err := p.connect(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.log = newAudit(p.Audit, p.User)
	b.Say("a control plane of %d nodes is there after %v", nodes, time.Since(began).Round(time.Second))
	return p, nil
}

// stop ends it.
func (p *plane) stop() error {
	if p.log != nil {
		p.log.stop()
	}
	if err := p.input.Close(); err != nil {
		return err
	}
	return p.cmd.Wait()
}

func (p *plane) connect() error {
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(p.CA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	p.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: makers,
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}}}
	return nil
}

// post makes an object; an API server that is busy is asked again.
func (p *plane) post(ctx context.Context, path, document string) error {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.Address+path, strings.NewReader(document))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := p.client.Do(r)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case err != nil:
			return err
		case answer.StatusCode == http.StatusTooManyRequests:
			time.Sleep(100 * time.Millisecond)
		case answer.StatusCode >= 300:
			return fmt.Errorf("making something at %s: %s: %s", path, answer.Status, text)
		default:
			return nil
		}
	}
}

// ticks is the unit of /proc/PID/stat, which Linux has kept at 100 a second.
const ticks = 100

// cpuSeconds is the processor time that a process has had; 0 where nobody knows.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (user + system) / ticks
}

// controller is `nexus controller` as it is shipped, over a plane.
type controller struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func startController(ctx context.Context, b *program.Bench, p *plane) (*controller, error) {
	path, err := b.Build(ctx, "nexus", "./cmd/nexus")
	if err != nil {
		return nil, err
	}
	// All of a cluster shares the cores of one machine here: it may be slow to renew a Lease.
	cmd := exec.Command(path, "controller", "--kubeconfig", p.Controller, "--image", "none", "--launcher-image", "none", "--lease-duration", "60s")
	cmd.Stderr = b.Log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &controller{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		p.log.fail(fmt.Errorf("the controller ended: %v", cmd.Wait())) // nobody waits for it any more
	}()
	return c, nil
}

// seconds is the processor time that it has had.
func (c *controller) seconds() float64 { return cpuSeconds(c.cmd.Process.Pid) }

func (c *controller) rss() (float64, error) {
	bytes, err := machine.RSS(c.cmd.Process.Pid)
	return float64(bytes) / (1 << 20), err
}

func (c *controller) stop() {
	_ = c.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case <-c.done:
	case <-time.After(machine.Patience):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}
