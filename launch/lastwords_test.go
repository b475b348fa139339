package launch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/nexus"
)

// What the kubelet takes is bounded, and the record of a round is there before the round.
func TestLastWordsFit(t *testing.T) {
	a := &agent{words: filepath.Join(t.TempDir(), "termination-log")}
	a.order.Attempt, a.order.RestartsLeft, a.rounds.RestartsLeft = 3, 2, 1
	if err := a.roundWords(1); err != nil {
		t.Fatal(err)
	}
	read := func() (r nexus.Result) {
		data, err := os.ReadFile(a.words)
		if err != nil || len(data) > mostWords {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := read(); r.Attempt != 3 || r.Round != 1 || r.Charged != 1 || r.Cause != "" {
		t.Errorf("before a round it says %+v", r)
	}
	long := strings.Repeat("x", 9000)
	if err := a.lastWords(nexus.Result{Attempt: 3, Cause: nexus.CauseExit, Exit: 7, Message: long, Tail: []string{long}, Ack: &nexus.Ack{Attempt: "job/3", Step: 9, Path: "/" + long}}); err != nil {
		t.Fatal(err)
	}
	if r := read(); r.Cause != nexus.CauseExit || r.Exit != 7 || r.Ack == nil || r.Ack.Step != 9 || r.Tail != nil {
		t.Errorf("at the end it says %+v", r)
	}
	if err := (&agent{}).lastWords(nexus.Result{Message: "nobody listens"}); err != nil {
		t.Error(err)
	}
}
