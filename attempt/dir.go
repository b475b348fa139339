package attempt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"ainexus.io/nexus"
)

// Dir is the path of an attempt's directory.
type Dir string

// At returns the directory of an attempt below root. Job ids are made by us and hold no separators.
func At(root, job string, attempt int) Dir {
	return Dir(filepath.Join(root, job, strconv.Itoa(attempt)))
}

// Name is what NEXUS_ATTEMPT says: "<job id>/<attempt>".
func Name(job string, attempt int) string { return job + "/" + strconv.Itoa(attempt) }

// Create makes the directory with its order. An existing order is left as it is: the attempt was prepared before.
func (d Dir) Create(order nexus.Order) error {
	for _, sub := range []string{"progress", "logs"} {
		if err := os.MkdirAll(filepath.Join(string(d), sub), 0o700); err != nil {
			return err
		}
	}
	if _, err := d.Order(); err == nil {
		return nil
	}
	return write(d.path("order.json"), order, true)
}

// Order reads what the place ordered.
func (d Dir) Order() (nexus.Order, error) { return read[nexus.Order](d.path("order.json")) }

// Agent reads who claimed the attempt; [fs.ErrNotExist] when nobody did.
func (d Dir) Agent() (nexus.Agent, error) { return read[nexus.Agent](d.path("agent.json")) }

// WriteAgent claims the attempt. The lock must be held.
func (d Dir) WriteAgent(a nexus.Agent) error { return write(d.path("agent.json"), a, true) }

// Stop reads the stop order; [fs.ErrNotExist] when there is none.
func (d Dir) Stop() (nexus.StopOrder, error) { return read[nexus.StopOrder](d.path("stop.json")) }

// WriteStop asks the agent to stop. Asked twice, the later order counts.
func (d Dir) WriteStop(s nexus.StopOrder) error { return write(d.path("stop.json"), s, true) }

// Status reads the agent's last word on what it is doing.
func (d Dir) Status() (nexus.Status, error) { return read[nexus.Status](d.path("status.json")) }

// WriteStatus replaces the status without waiting for the disk.
func (d Dir) WriteStatus(s nexus.Status) error { return write(d.path("status.json"), s, false) }

// Rounds reads the record of the budget.
func (d Dir) Rounds() (nexus.Rounds, error) { return read[nexus.Rounds](d.path("rounds.json")) }

// WriteRounds records the budget durably.
func (d Dir) WriteRounds(r nexus.Rounds) error { return write(d.path("rounds.json"), r, true) }

// Result reads how the attempt ended; [fs.ErrNotExist] when its agent did not get to say.
func (d Dir) Result() (nexus.Result, error) { return read[nexus.Result](d.path("result.json")) }

// WriteResult records how the attempt ended, durably.
func (d Dir) WriteResult(r nexus.Result) error { return write(d.path("result.json"), r, true) }

// AckFile is the path that workers get as NEXUS_ACK_FILE.
func (d Dir) AckFile() string { return d.path("ack.json") }

// Ack reads the acknowledged checkpoint; [fs.ErrNotExist] when there is none.
func (d Dir) Ack() (nexus.Ack, error) { return read[nexus.Ack](d.AckFile()) }

// ProgressFile is the path that worker rank gets as NEXUS_PROGRESS_FILE.
func (d Dir) ProgressFile(rank int) string {
	return d.path(filepath.Join("progress", strconv.Itoa(rank)+".json"))
}

// Progress reads worker rank's last step; [fs.ErrNotExist] before its first.
func (d Dir) Progress(rank int) (nexus.Progress, error) {
	return read[nexus.Progress](d.ProgressFile(rank))
}

// LogDir is where the round's output goes.
func (d Dir) LogDir(round int) string { return d.path(filepath.Join("logs", strconv.Itoa(round))) }

// WorkerLog is where worker rank's output of a round goes; a full one is kept beside it as R.log.1.
func (d Dir) WorkerLog(round, rank int) string {
	return filepath.Join(d.LogDir(round), strconv.Itoa(rank)+".log")
}

// SetupLog is where the output of setup goes.
func (d Dir) SetupLog() string { return filepath.Join(d.LogDir(0), "setup.log") }

// ErrorFile is the path that worker rank gets as TORCHELASTIC_ERROR_FILE.
func (d Dir) ErrorFile(round, rank int) string {
	return filepath.Join(d.LogDir(round), strconv.Itoa(rank)+".error.json")
}

// StackFile is the path that worker rank gets as NEXUS_STACK_FILE.
func (d Dir) StackFile(round, rank int) string {
	return filepath.Join(d.LogDir(round), strconv.Itoa(rank)+".stack")
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

// read decodes one file; a file that is not whole JSON is told by name.
func read[T any](path string) (T, error) {
	var value T
	data, err := os.ReadFile(path)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, fmt.Errorf("reading %s: %w", path, err)
	}
	return value, nil
}

// write replaces path with value by rename, so that a reader sees the old or the new one, never a part.
func write(path string, value any, durable bool) (err error) {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(append(data, '\n'))
	if err == nil && durable {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil || !durable {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Missing reports whether err says that the file is not there.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
