package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ainexus.io/proc"
)

// outputs is where the workers of a round write.
type outputs struct {
	captures []*proc.Capture
	logs     []*proc.LogFile
	tails    []*proc.Tail // by rank
}

// screen is what a bare launch shows; the zero value shows nothing.
type screen struct {
	out, err *proc.Live
}

// say shows a line of our own.
func (s screen) say(text string) {
	if s.err != nil {
		s.err.Line("[nexus] ", []byte(text))
	}
}

// fault shows what a round ended with, below the sentence that says so.
func (s screen) fault(e ending, round int) {
	if s.err == nil || e.fault == nil {
		return
	}
	s.say("  " + e.fault.When(round))
	s.say("  " + e.fault.Where(len(e.tail)))
	for _, line := range e.tail {
		s.say("  | " + line)
	}
}

// close shows what is left. A writer that takes nothing is not waited for beyond a few seconds.
func (s screen) close() {
	for _, live := range []*proc.Live{s.out, s.err} {
		if live != nil {
			live.Close(5 * time.Second)
		}
	}
}

// open makes the streams of one worker and returns the ends that it gets.
func (o *outputs) open(a *agent, round, rank int) (out, err *os.File, failed error) {
	tail := &proc.Tail{}
	o.tails = append(o.tails, tail)
	prefix := a.prefix(rank)
	if !a.bare {
		log, err := o.log(a.dir.WorkerLog(round, rank), a.logOptions())
		if err != nil {
			return nil, nil, err
		}
		end, err := o.capture(proc.Sink{Log: log, Tail: tail})
		return end, end, err
	}
	if a.kept != "" {
		log, err := o.log(a.keptLog(rank), a.keptOptions())
		if err == nil {
			end, err := o.capture(proc.Sink{Log: log, Tail: tail, Live: a.screen.out, Prefix: prefix})
			return end, end, err
		}
		a.kept = "" // no reason not to train
		a.say(fmt.Sprintf("logs are not kept beside the checkpoints: %v", err))
	}
	for _, stream := range []struct {
		bit  int
		file string
		live *proc.Live
		end  **os.File
	}{{stdout, "stdout.log", a.screen.out, &out}, {stderr, "stderr.log", a.screen.err, &err}} {
		sink := proc.Sink{Tail: tail, Live: stream.live, Prefix: prefix}
		toFile, shown := a.streams(rank, stream.bit)
		if toFile {
			log, err := o.log(filepath.Join(a.rankDir(round, rank), stream.file), a.logOptions())
			if err != nil {
				return nil, nil, err
			}
			sink.Log = log
		}
		if !shown || a.shown != nil && !slices.Contains(a.shown, rank) {
			sink.Live = nil
		}
		if *stream.end, failed = o.capture(sink); failed != nil {
			return nil, nil, failed
		}
	}
	return out, err, nil
}

// prefix stands before a worker's lines on the screen.
func (a *agent) prefix(rank int) string {
	if a.linePrefix == "" {
		return fmt.Sprintf("[rank %d] ", a.place.first+rank)
	}
	return proc.Sanitize(os.Expand(a.linePrefix, func(name string) string {
		switch name {
		case "role_name":
			return a.role
		case "rank":
			return strconv.Itoa(a.place.first + rank)
		case "local_rank":
			return strconv.Itoa(rank)
		case "$":
			return "$"
		}
		return "${" + name + "}"
	}))
}

func (o *outputs) log(path string, opts proc.LogOptions) (*proc.LogFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making a place for logs: %w", err)
	}
	log, err := proc.OpenLog(path, opts)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	o.logs = append(o.logs, log)
	return log, nil
}

func (o *outputs) capture(sink proc.Sink) (*os.File, error) {
	c, err := proc.NewCapture(sink)
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	o.captures = append(o.captures, c)
	return c.File(), nil
}

// started closes our ends of the pipes.
func (o *outputs) started() {
	for _, c := range o.captures {
		c.Started()
	}
}

// close waits for the last bytes of processes that are gone.
func (o *outputs) close() {
	for _, c := range o.captures {
		c.Wait(2 * time.Second)
	}
	for _, log := range o.logs {
		log.Close()
	}
}

// logOptions are those of every log of the attempt. Of all that cannot be kept the first is told, and the work goes on.
func (a *agent) logOptions() proc.LogOptions {
	return proc.LogOptions{Size: a.logSize, Files: a.logFiles, Trouble: func(err error) {
		a.lossy.Do(func() {
			text := fmt.Sprintf("output is missing from the logs, the work goes on: %v", err)
			a.board.note(text)
			a.say(text)
		})
	}}
}

// keptOptions are those of the logs beside the checkpoints, which need the room.
func (a *agent) keptOptions() proc.LogOptions {
	o := a.logOptions()
	o.Size, o.Files = keptSize, 2
	return o
}

// streams says where a bare launch's stream goes: with a log directory to a file and the screen, unless --redirects
// takes it off the screen or --tee and --redirects name others.
func (a *agent) streams(rank, bit int) (toFile, shown bool) {
	if a.logDir == "" {
		return false, true
	}
	redirected, teed := a.redirects.of(rank)&bit != 0, a.tee.of(rank)&bit != 0
	if !a.redirects.given && !a.tee.given {
		return true, true
	}
	return redirected || teed, teed || !redirected
}

// rankDir is torchrun's layout, for a bare launch with a log directory. By local rank on one node; several may share
// the directory, and there it is the rank among all.
func (a *agent) rankDir(round, rank int) string {
	return filepath.Join(a.logDir, a.runID, "attempt_"+strconv.Itoa(round), strconv.Itoa(a.place.first+rank))
}

// keptLog is a worker's log beside the checkpoints.
func (a *agent) keptLog(rank int) string {
	return filepath.Join(a.kept, strconv.Itoa(a.place.first+rank)+".log")
}

// logOf is the file that holds what a worker wrote, its errors rather than the rest; empty: none does.
func (a *agent) logOf(round, rank int) string {
	if !a.bare {
		return a.dir.WorkerLog(round, rank)
	}
	if a.kept != "" {
		return a.keptLog(rank)
	}
	for _, stream := range []struct {
		bit  int
		file string
	}{{stderr, "stderr.log"}, {stdout, "stdout.log"}} {
		if toFile, _ := a.streams(rank, stream.bit); toFile {
			return filepath.Join(a.rankDir(round, rank), stream.file)
		}
	}
	return ""
}

// errorFile is where a worker may leave its error.
func (a *agent) errorFile(round, rank int) string {
	if a.logDir != "" {
		return filepath.Join(a.rankDir(round, rank), "error.json")
	}
	return a.dir.ErrorFile(round, rank)
}
