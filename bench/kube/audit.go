package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// audit follows the API server's log of writes.
type audit struct {
	path string
	user string // our controller's
	end  chan struct{}
	done chan struct{}

	mu      sync.Mutex
	err     error
	writes  map[string]int       // by user, without Events
	own     map[string]int       // those of our controller, by what it wrote
	bound   []time.Time          // when pods were, in order
	podOf   map[string]time.Time // when the pod of a job was bound first, by name of the job
	created map[string]time.Time // jobs, when they were asked for
	told    map[string]time.Time // jobs, when their status was written first
	knows   map[string]int       // how many of these there are, by what their names begin with
}

// entry is a line of the log.
type entry struct {
	Verb string
	User struct{ Username string }
	Ref  *struct{ Resource, Subresource, Namespace, Name string } `json:"objectRef"`
	Code struct{ Code int }                                       `json:"responseStatus"`
	At   time.Time                                                `json:"requestReceivedTimestamp"`
	Done time.Time                                                `json:"stageTimestamp"`
}

func newAudit(path, user string) *audit {
	a := &audit{path: path, user: user, end: make(chan struct{}), done: make(chan struct{}), writes: map[string]int{}, own: map[string]int{},
		podOf: map[string]time.Time{}, created: map[string]time.Time{}, told: map[string]time.Time{}, knows: map[string]int{}}
	go a.follow()
	return a
}

func (a *audit) stop() {
	close(a.end)
	<-a.done
}

// follow reads what is added until it is stopped.
func (a *audit) follow() {
	defer close(a.done)
	file, err := os.Open(a.path)
	if err != nil {
		a.fail(err)
		return
	}
	defer file.Close()
	reader, line := bufio.NewReaderSize(file, 1<<20), []byte(nil)
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				a.fail(fmt.Errorf("reading the audit log: %w", err))
				return
			}
			a.take(&e)
			line = line[:0]
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			select {
			case <-a.end:
				return
			case <-time.After(50 * time.Millisecond):
			}
		default:
			a.fail(err)
			return
		}
	}
}

func (a *audit) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *audit) take(e *entry) {
	if e.Ref == nil || e.Code.Code >= 300 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Ref.Resource != "events" {
		a.writes[e.User.Username]++
	}
	if e.Ref.Namespace != "bench" {
		return
	}
	switch what := e.Verb + " " + e.Ref.Resource + "/" + e.Ref.Subresource; {
	case what == "create pods/binding":
		a.bound = append(a.bound, e.Done)
		if job := jobOfPod(e.Ref.Name); a.podOf[job].IsZero() {
			a.podOf[job] = e.Done
		}
	case e.Verb == "create" && e.User.Username == "admin" && (e.Ref.Resource == "jobs" || e.Ref.Resource == "nexusjobs"):
		a.created[e.Ref.Name] = e.At
	case e.User.Username == a.user && e.Ref.Resource != "events":
		a.own[what]++
		if what == "update nexusjobs/status" && a.told[e.Ref.Name].IsZero() {
			a.told[e.Ref.Name] = e.Done
			kind, _, _ := strings.Cut(e.Ref.Name, "-")
			a.knows[kind]++
		}
	}
}

// jobOfPod is the name of the NexusJob of a pod "name-attempt-index-xxxxx", and of anything else nonsense.
func jobOfPod(name string) string {
	for range 3 {
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	return name
}

// sayEvery is how often whoever waits says how far it is.
const sayEvery = 10 * time.Second

// wait waits until what the log says will do, which is asked under the lock, and meanwhile says how far it is.
func (a *audit) wait(ctx context.Context, say func(format string, args ...any), what string, enough func() bool) error {
	for last := time.Now(); ; {
		a.mu.Lock()
		ok, err := enough(), a.err
		bound, statuses, writes := len(a.bound), len(a.told), 0
		for _, n := range a.writes {
			writes += n
		}
		a.mu.Unlock()
		if ok || err != nil {
			return err
		}
		if time.Since(last) > sayEvery {
			last = time.Now()
			say("waiting for %s: %d pods are bound, %d jobs have a status, %d writes", what, bound, statuses, writes)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// all is how many writes there were, by everybody and by our controller.
func (a *audit) all() (everybody, own int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for user, n := range a.writes {
		everybody += n
		if user == a.user {
			own = n
		}
	}
	return everybody, own
}
