package kubetest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Exec is a command that somebody wants run in a pod.
type Exec struct {
	Namespace, Pod, Container string
	Command                   []string
	TTY                       bool
	Stdin                     io.Reader // nil: none
	Stdout, Stderr            io.Writer // Stderr is nil where there is a terminal
	// Sizes tells the terminal's columns and rows, as they come.
	Sizes <-chan [2]int
}

// OnExec says what the kubelets do with commands; without it they refuse them. It gives the exit code.
func (p *Plane) OnExec(run func(Exec) int) {
	p.kubelet.mu.Lock()
	defer p.kubelet.mu.Unlock()
	p.kubelet.run = run
}

// execWait is how long the streams of a command may take to come.
const execWait = 30 * time.Second

// exec answers /exec/NAMESPACE/POD/CONTAINER, as the API server asks it.
func (k *kubelet) exec(w http.ResponseWriter, r *http.Request, parts []string) {
	k.mu.Lock()
	run := k.run
	k.mu.Unlock()
	if len(parts) != 3 || run == nil {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	e := Exec{Namespace: parts[0], Pod: parts[1], Container: parts[2], Command: q["command"], TTY: q.Get("tty") == "1"}
	wanted := 1 // the one for the end
	for _, name := range []string{"input", "output", "error", "tty"} {
		if q.Get(name) == "1" {
			wanted++
		}
	}
	if _, err := httpstream.Handshake(r, w, []string{remotecommand.StreamProtocolV4Name}); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	type opened struct {
		httpstream.Stream
		replied <-chan struct{}
	}
	streams := make(chan opened, 5)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replied <-chan struct{}) error {
		streams <- opened{s, replied}
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	var end httpstream.Stream
	sizes := make(chan [2]int, 16)
	for range wanted {
		select {
		case s := <-streams:
			<-s.replied
			switch s.Headers().Get("streamType") {
			case "error":
				end = s
			case "stdin":
				e.Stdin = s
			case "stdout":
				e.Stdout = s
			case "stderr":
				e.Stderr = s
			case "resize":
				e.Sizes = sizes
				go resize(s, sizes)
			}
		case <-time.After(execWait):
			return
		}
	}
	if end == nil {
		return
	}
	status := metav1.Status{Status: metav1.StatusSuccess}
	if code := run(e); code != 0 {
		status = metav1.Status{Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason, Details: &metav1.StatusDetails{
			Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(code)}}}}
	}
	text, err := json.Marshal(status)
	if err == nil {
		_, err = end.Write(text)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		_ = end.Reset()
	}
}

// resize hands on a terminal's sizes until there are no more.
func resize(from io.Reader, to chan<- [2]int) {
	for d := json.NewDecoder(from); ; {
		var size struct{ Width, Height int }
		if d.Decode(&size) != nil {
			return
		}
		select {
		case to <- [2]int{size.Width, size.Height}:
		default: // nobody looks
		}
	}
}

// execPath are the parts of a request for a command; false: it is for something else.
func execPath(path string) ([]string, bool) {
	rest, ok := strings.CutPrefix(path, "/exec/")
	return strings.Split(rest, "/"), ok
}
