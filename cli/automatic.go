package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

const (
	// idleExit is how long an automatic daemon stays without anything to do.
	idleExit = 60 * time.Second
	// startPatience is how long a daemon may take to answer.
	startPatience = 20 * time.Second
)

// startDaemon starts `nexus up` from a copy of this program, detached, and waits until it answers. Two that do so at
// once start one: the second waits for the lock and finds it.
func (p *program) startDaemon(ctx context.Context, state string, client *api.Client) error {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return stateTrouble("making the state directory", err)
	}
	release, err := lockFile(ctx, filepath.Join(state, "start.lock"))
	if err != nil {
		return stateTrouble("waiting for another start of the daemon", err)
	}
	defer release()
	if _, err := client.Version(ctx); err == nil {
		return nil
	}
	program, err := copyProgram(filepath.Join(state, "bin"))
	if err != nil {
		return stateTrouble("copying the program for the daemon", err)
	}
	idle := idleExit
	if text := p.getenv("NEXUS_IDLE_EXIT"); text != "" {
		d, err := nexus.ParseDuration(text)
		if err != nil {
			return &nexus.Error{Code: nexus.CodeInvalid, Message: "NEXUS_IDLE_EXIT: " + err.Error()}
		}
		idle = time.Duration(d)
	}
	log, err := os.OpenFile(filepath.Join(state, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return stateTrouble("opening the daemon's log", err)
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return stateTrouble("opening the daemon's log", err)
	}
	cmd := exec.Command(program, "up", "--state", state, "--exit-when-idle", idle.String())
	cmd.Args[0] = "nexus"
	cmd.Dir = state // not the user's directory: that may have to be deleted
	cmd.Env = p.daemonEnv()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log; usually it outlives us
		close(ended)
	}()
	if err := answers(ctx, client, ended, startPatience); err != nil {
		return startFailure(log, before, log.Name())
	}
	return nil
}

// daemonEnv is the little of the environment that a daemon needs. Jobs get theirs from who submits them.
func (p *program) daemonEnv() []string {
	var env []string
	for _, key := range []string{"HOME", "NEXUS_LISTEN", "NEXUS_LOG_MAX_SIZE", "NEXUS_LOG_MAX_FILES", "USER", "LOGNAME", "PATH", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "NVML_LIBRARY",
		"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"} {
		if value, ok := p.lookup(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// startFailure is the daemon's own error, which is at the end of its log.
func startFailure(log io.ReaderAt, from int64, path string) error {
	data, err := io.ReadAll(io.NewSectionReader(log, from, 64<<10))
	if err != nil {
		data = nil
	}
	e := &nexus.Error{Code: nexus.CodeUnavailable, Message: "the daemon did not start", Hint: "its log is " + path}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "error: "); ok {
			e.Message = "the daemon did not start: " + text
		}
		if text, ok := strings.CutPrefix(line, "hint: "); ok {
			e.Hint = text
		}
	}
	return e
}

// copyProgram puts a copy of the running executable below bin and returns its path: `go run` deletes its own, and an
// upgrade may replace it under a daemon that lives. Copies that nobody runs are removed.
func copyProgram(bin string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(bin); err == nil && filepath.Dir(filepath.Dir(own)) == real {
		return own, nil // it is one of the copies
	}
	hash, err := hashFile(own)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(bin, hash[:16])
	target := filepath.Join(dir, "nexus")
	if there, err := hashFile(target); err == nil && there == hash {
		return target, nil
	}
	pruneCopies(bin, dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return target, copyFile(own, target, hash)
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyFile copies by way of a temporary file, so that target is whole or absent.
func copyFile(from, target, hash string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(target), ".nexus.*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	if err == nil {
		err = out.Chmod(0o700)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != hash {
		return errors.New("the program changed while it was copied")
	}
	return os.Rename(out.Name(), target)
}

// pruneCopies removes the copies of older releases that no process runs from. Where that cannot be known, all stay.
func pruneCopies(bin, keep string) {
	entries, err := os.ReadDir(bin)
	if err != nil || len(entries) == 0 {
		return
	}
	used, ok := programsInUse()
	if bin, err = filepath.EvalSymlinks(bin); err != nil || !ok {
		return
	}
	keep = filepath.Join(bin, filepath.Base(keep))
	for _, entry := range entries {
		dir := filepath.Join(bin, entry.Name())
		if dir != keep && !used[filepath.Join(dir, "nexus")] {
			_ = os.RemoveAll(dir) // the next start tries again
		}
	}
}

// programsInUse are the executables of all processes that we may look at.
func programsInUse() (map[string]bool, bool) {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil || len(links) == 0 {
		return nil, false
	}
	used := map[string]bool{}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			used[target] = true
		}
	}
	return used, true
}
