package collective

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrClosed is what collectives return after [Group.Close].
var ErrClosed = errors.New("the group is closed")

// errLeft is what the memory of a rank says that has closed its group. Why, its control connections may tell.
var errLeft = errors.New("left the group")

// PeerError says that the group is broken and which rank broke it. Every rank gets the same one.
type PeerError struct {
	Rank   int    // the rank to blame
	Reason string // "died: connection reset by peer", "failed: loss is NaN", ...
}

// Error names the rank and the reason.
func (e *PeerError) Error() string { return fmt.Sprintf("rank %d %s", e.Rank, e.Reason) }

// TimeoutError says that a collective did not end in time and whom it waited for.
type TimeoutError struct {
	Op      string        // "barrier #12"
	After   time.Duration // how long it was waited
	Missing []int         // ranks that live but have not called it
	Silent  []int         // ranks that did not answer when asked: stopped, or cut off
}

// Error names the missing and the silent ranks.
func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("%s is not done after %v", e.Op, e.After)
	if len(e.Missing) > 0 {
		text += ": waiting for " + ranks(e.Missing)
	}
	if len(e.Silent) > 0 {
		text += ": no answer from " + ranks(e.Silent)
	}
	if len(e.Missing)+len(e.Silent) == 0 {
		text += ": every rank is in it, the network may be slow"
	}
	return text
}

// JoinError says that a group could not be formed and who did not come.
type JoinError struct {
	Missing []int // ranks not seen
	Err     error
}

// Error names the ranks that did not come.
func (e *JoinError) Error() string {
	if len(e.Missing) == 0 {
		return "joining the group: " + e.Err.Error()
	}
	return fmt.Sprintf("joining the group: %s did not come: %v", ranks(e.Missing), e.Err)
}

// Unwrap returns the cause.
func (e *JoinError) Unwrap() error { return e.Err }

// ranks writes "rank 2" or "ranks 1, 2 and 5"; long lists are cut.
func ranks(list []int) string {
	if len(list) == 1 {
		return fmt.Sprintf("rank %d", list[0])
	}
	const most = 16
	shown := list[:min(len(list), most)]
	words := make([]string, len(shown))
	for i, r := range shown {
		words[i] = fmt.Sprint(r)
	}
	if more := len(list) - len(shown); more > 0 {
		return fmt.Sprintf("ranks %s and %d more", strings.Join(words, ", "), more)
	}
	last := len(words) - 1
	return "ranks " + strings.Join(words[:last], ", ") + " and " + words[last]
}

// linkError is a read or write that failed; the peer is a suspect until the control connections have told more.
type linkError struct {
	peer int
	err  error
}

func (e *linkError) Error() string { return fmt.Sprintf("link to rank %d: %v", e.peer, e.err) }
func (e *linkError) Unwrap() error { return e.err }
