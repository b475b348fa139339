package nexus

// Error is a refusal told to two readers: Code for machines, Message for people, Hint for the one who
// must mend it. Message is one line in lower case without a full stop; Hint may be empty.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Field is the path of the offending field in the job file ("resources.gpus"), where there is one.
	Field string `json:"field,omitempty"`
	// Line and Column, from 1, say where in the document; 0 where that is unknown.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// Code is the machine-readable kind of an [Error].
type Code string

// The kinds of errors.
const (
	CodeInvalid     Code = "invalid"     // the request is malformed
	CodeUnfit       Code = "unfit"       // no node could ever run it
	CodeNotFound    Code = "not_found"   // no such job, queue or node
	CodeAmbiguous   Code = "ambiguous"   // several jobs answer to that name
	CodeConflict    Code = "conflict"    // the thing is in a state that does not allow it
	CodeDenied      Code = "denied"      // the caller may not do this
	CodeUnavailable Code = "unavailable" // the daemon or a part of it is away
	CodeExhausted   Code = "exhausted"   // a disk, a port range or a limit is used up
	CodeInternal    Code = "internal"    // our own fault
)

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Message }

// Errors is several refusals at once, in the order of the document.
type Errors []*Error

// Error returns every message, a line each.
func (es Errors) Error() string {
	switch len(es) {
	case 0:
		return "no error"
	case 1:
		return es[0].Message
	}
	text := es[0].Message
	for _, e := range es[1:] {
		text += "\n" + e.Message
	}
	return text
}
