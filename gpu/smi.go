package gpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// smi asks the nvidia-smi program, once per sample. It costs tens of milliseconds of CPU where NVML costs one, which is
// why it comes second.
type smi struct {
	path   string
	fields []string
}

// openSMI finds the program: by name on PATH, else where WSL keeps it.
func openSMI(path string) (*smi, error) {
	names := []string{path}
	if path == "" {
		names = []string{"nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"}
	}
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			return &smi{path: found, fields: smiFields[:]}, nil
		}
	}
	return nil, fmt.Errorf("no %s program", names[0])
}

func (s *smi) close() {}

func (s *smi) read(ctx context.Context, ask request, at func(index, of int)) (Sample, error) {
	at(wholeMachine, 0)
	out, runErr := s.query(ctx)
	devices, driver, parseErr := parseSMI(out, s.fields)
	if len(devices) == 0 {
		if strings.Contains(strings.ToLower(out), "no devices were found") {
			return Sample{Source: SourceSMI, Reason: "nvidia-smi: no devices were found"}, nil
		}
		if err := errors.Join(runErr, parseErr); err != nil {
			return Sample{}, err
		}
		return Sample{}, errors.New("nvidia-smi printed nothing")
	}
	sample := Sample{Source: SourceSMI, Driver: driver, Devices: devices}
	// A program that fails after some lines has usually met a lost GPU: the lines are good, the rest is told.
	if err := errors.Join(runErr, parseErr); err != nil {
		sample.Reason, sample.Broken = clean(err.Error(), 500), true
	}
	if ask.Processes {
		s.processes(ctx, sample.Devices)
	}
	return sample, nil
}

// query runs nvidia-smi, and again without a field for as long as it names one that it does not know.
func (s *smi) query(ctx context.Context) (string, error) {
	for {
		out, err := s.run(ctx, "--query-gpu="+strings.Join(s.fields, ","), "--format=csv,noheader,nounits")
		unknown := slices.IndexFunc(s.fields, func(f string) bool {
			return strings.Contains(out, fmt.Sprintf("Field %q is not a valid field", f))
		})
		if unknown < smiNeeded {
			return out, err
		}
		s.fields = slices.Delete(slices.Clone(s.fields), unknown, unknown+1)
	}
}

// processes fills in who computes where; without an answer nobody is told, which is what is known.
func (s *smi) processes(ctx context.Context, devices []Device) {
	out, err := s.run(ctx, "--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits")
	if err != nil {
		return
	}
	by := parseSMIProcesses(out)
	for i := range devices {
		devices[i].Processes = by[devices[i].UUID]
	}
}

// run gives what the program printed, also when it failed: the error then ends in its last words.
func (s *smi) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.path, args...)
	cmd.WaitDelay = time.Second
	stdout, stderr := &bounded{limit: 1 << 20}, &bounded{limit: 4 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	out := stdout.String()
	if err != nil {
		said := clean(lastLine(stderr.String()), 200)
		if said == "" {
			said = clean(lastLine(out), 200)
		}
		return out, fmt.Errorf("running %s: %w: %s", s.path, err, said)
	}
	return out, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// bounded keeps the first bytes written to it and drops the rest, so that a program gone mad fills no memory.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
