package nexus

import (
	"fmt"
	"strconv"
	"time"
)

// Fault is what is known of the worker that failed first, beside what [Result] says of it.
type Fault struct {
	Node string `json:"node"` // of its agent
	PID  int    `json:"pid"`
	// At is when it failed, by its node's clock: when it left its report, else when it ended.
	At   time.Time `json:"at"`
	Into Duration  `json:"into"` // from the round's begin on that node until At
	// Evidence is what speaks for it, as a clause: "by its error file".
	Evidence string `json:"evidence"`
	// Later is how many other workers failed by themselves, after it or because of it.
	Later int `json:"later,omitempty"`
	// Log is the file on its node that holds what it wrote; empty where none was kept.
	Log string `json:"log,omitempty"`
}

// When says what makes it the first and when that was. Times are shown in At's zone.
func (f Fault) When(round int) string {
	first := "the only worker that failed"
	if f.Later > 0 {
		first = "the first of " + strconv.Itoa(f.Later+1) + " that failed, " + f.Evidence
	}
	return fmt.Sprintf("%s: at %s on node %s, %s into round %d, process %d",
		first, f.At.Format("2006-01-02 15:04:05.000"), f.Node, brief(time.Duration(f.Into)), round, f.PID)
}

// Where says where its output is, of which so many lines follow.
func (f Fault) Where(lines int) string {
	text := "it wrote nothing"
	switch {
	case lines == 1:
		text = "its last line follows"
	case lines > 1:
		text = "its last " + strconv.Itoa(lines) + " lines follow"
	}
	if f.Log == "" {
		return text
	}
	return text + "; its output is in " + f.Log
}

func brief(d time.Duration) string {
	if d < time.Minute {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
