package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"ainexus.io/nexus"
)

// A container's last words are a file that the kubelet reads when it has ended, and puts into the pod's status: all that
// an agent in a pod can tell without rights of its own. It is a mount, so it is written over rather than replaced. What
// a round costs is in it before the round begins, as in the record of the budget; the result takes its place at the end.

// mostWords is how many bytes the kubelet takes, and mostSentence what of them a sentence may have.
const (
	mostWords    = 4096
	mostSentence = 1024
)

// lastWords leaves a result as the last words, where somebody wants them.
func (a *agent) lastWords(r nexus.Result) error {
	if a.words == "" {
		return nil
	}
	r.Tail = nil // it is in the container's log
	if len(r.Message) > mostSentence {
		r.Message = r.Message[:mostSentence] + "..."
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(data) > mostWords && r.Ack != nil { // a path may be long; that something was saved is what counts
		r.Ack.Path = r.Ack.Path[:min(len(r.Ack.Path), mostSentence)]
		if data, err = json.Marshal(r); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(a.words, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("leaving last words: %w", err)
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// roundWords says, before a round begins, what the rounds so far have cost.
func (a *agent) roundWords(number int) error {
	return a.lastWords(nexus.Result{Attempt: a.order.Attempt, Rank: -1, Round: number, Charged: a.order.RestartsLeft - a.rounds.RestartsLeft, LostSeconds: -1})
}
