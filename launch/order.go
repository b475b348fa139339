package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// A place that starts launchers by its own means, as Kubernetes does, hands them what they are to do in their
// environment. Workers get neither of these: what they launch is no attempt of the job.
const (
	// EnvOrder names the variable that holds the [nexus.Order] of the attempt, as JSON.
	EnvOrder = "NEXUS_ORDER"
	// EnvResult names the variable with the path of an existing file that takes the [nexus.Result], as JSON: in a pod
	// the container's termination message.
	EnvResult = "NEXUS_RESULT_FILE"
)

// orderFrom reads the order in the environment; nil where there is none.
func orderFrom(getenv func(string) string) (*nexus.Order, error) {
	text := getenv(EnvOrder)
	if text == "" {
		return nil, nil
	}
	var o nexus.Order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return nil, refuse(fmt.Sprintf("%s cannot be read: %v", EnvOrder, err), "the program that starts the pods and the one in them have to be of one release")
	}
	if o.Job == "" || o.Attempt < 1 || o.Spec.Run.IsZero() {
		return nil, refuse(EnvOrder+" names no job, no attempt or no program", "the program that starts the pods and the one in them have to be of one release")
	}
	return &o, nil
}

// ordered makes a bare launch an attempt of a job: with the identity by which its checkpoints are found again and
// its acknowledgement is known, and with what the job file says of graces and hangs.
func (a *agent) ordered(o Options) {
	order := *o.Order
	order.Workdir, order.Env = a.order.Workdir, a.order.Env
	order.Seat.Node, order.Seat.Workers = a.order.Seat.Node, a.order.Seat.Workers
	if order.Seat.CPU == 0 {
		order.Seat.CPU = a.order.Seat.CPU
	}
	if c := order.Spec.Checkpoint; c != nil {
		a.kept = filepath.Join(below(order.Workdir, c.Path), "logs", order.Job, strconv.Itoa(order.Attempt))
	}
	order.Spec.Env = nil // whoever started us has resolved it
	a.order = order
	if o.Grace == 0 {
		a.grace = graceOf(order.Spec)
	}
	if os.Getpid() == 1 { // alone in a container
		a.container = proc.ContainerCgroup()
	}
	// The node takes the pod away, for a reason that only the place knows: a preemption, a cancellation, a drain.
	a.signalled = nexus.CauseNode
}

// keptSize is when a kept log is full, in bytes; one full one is kept beside it.
const keptSize = 16 << 20

// maxResult is what a kubelet keeps of a termination message, in bytes.
const maxResult = 4096

// LeaveResult writes how an attempt of an order ended to the file at path, which is there: it may be a mount, so that
// nothing can be renamed onto it.
func LeaveResult(path string, r nexus.Result) error {
	data, err := json.Marshal(r)
	for err == nil && len(data) > maxResult {
		switch {
		case len(r.Tail) > 0: // the last lines matter most
			r.Tail = r.Tail[1:]
		case len(r.Message) > 1:
			r.Message = cutText(r.Message, len(r.Message)/2)
		default:
			return fmt.Errorf("the result is %d bytes long", len(data))
		}
		data, err = json.Marshal(r)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// cutText is at most the first n bytes of a text, in whole characters.
func cutText(text string, n int) string {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
