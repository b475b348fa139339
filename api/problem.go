package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"ainexus.io/nexus"
)

// Problem is an error on the wire, after RFC 9457.
type Problem struct {
	Type   string `json:"type,omitempty" doc:"about:blank: the status says what kind of problem it is"`
	Title  string `json:"title,omitempty"`
	Status int    `json:"status,omitempty"`
	Detail string `json:"detail,omitempty" doc:"what is wrong, in a sentence"`
	// Code and Hint are those of the [nexus.Error].
	Code   nexus.Code      `json:"code,omitempty" doc:"what kind of error, for machines"`
	Hint   string          `json:"hint,omitempty" doc:"how to mend it"`
	Errors []ProblemDetail `json:"errors,omitempty" doc:"all that is wrong, in the order of the document"`
}

// ProblemDetail is one of several errors, with its place in the document.
type ProblemDetail struct {
	Message  string     `json:"message,omitempty"`
	Location string     `json:"location,omitempty" doc:"path of the field, such as body.resources.gpus"`
	Code     nexus.Code `json:"code,omitempty"`
	Hint     string     `json:"hint,omitempty"`
	Line     int        `json:"line,omitempty" doc:"in the job file, from 1"`
	Column   int        `json:"column,omitempty"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes it problem+json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// bodyLocation is where fields of the job file are, as the problem's locations have it.
const bodyLocation = "body."

// problemOf describes any error for the wire. One that is not a [nexus.Error] is our own fault: its text stays here.
func problemOf(err error) *Problem {
	var several nexus.Errors
	var one *nexus.Error
	switch {
	case errors.As(err, &several) && len(several) > 0:
	case errors.As(err, &one):
		several = nexus.Errors{one}
	default:
		several = nexus.Errors{{Code: nexus.CodeInternal, Message: "internal error", Hint: "the daemon's log says more"}}
	}
	first := several[0]
	p := &Problem{
		Type: "about:blank", Status: statusOf(first.Code), Detail: first.Message, Code: first.Code, Hint: first.Hint,
	}
	p.Title = http.StatusText(p.Status)
	if len(several) > 1 {
		p.Detail = fmt.Sprintf("%s (and %d more)", first.Message, len(several)-1)
	}
	if len(several) == 1 && first.Field == "" && first.Line == 0 {
		return p
	}
	for _, e := range several {
		d := ProblemDetail{Message: e.Message, Code: e.Code, Hint: e.Hint, Line: e.Line, Column: e.Column}
		if e.Field != "" {
			d.Location = bodyLocation + e.Field
		}
		p.Errors = append(p.Errors, d)
	}
	return p
}

func statusOf(code nexus.Code) int {
	switch code {
	case nexus.CodeInvalid, nexus.CodeUnfit:
		return http.StatusUnprocessableEntity
	case nexus.CodeNotFound:
		return http.StatusNotFound
	case nexus.CodeAmbiguous, nexus.CodeConflict:
		return http.StatusConflict
	case nexus.CodeDenied:
		return http.StatusForbidden
	case nexus.CodeUnavailable:
		return http.StatusServiceUnavailable
	case nexus.CodeExhausted:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// codeOf is for answers without a code: those of the router and of the check of parameters.
func codeOf(status int) nexus.Code {
	switch {
	case status == http.StatusNotFound:
		return nexus.CodeNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusMisdirectedRequest:
		return nexus.CodeDenied
	case status == http.StatusConflict:
		return nexus.CodeConflict
	case status == http.StatusServiceUnavailable:
		return nexus.CodeUnavailable
	case status == http.StatusInsufficientStorage:
		return nexus.CodeExhausted
	case status >= 500:
		return nexus.CodeInternal
	}
	return nexus.CodeInvalid
}

// writeProblem answers outside of the routes.
func writeProblem(w http.ResponseWriter, status int, err error) {
	p := problemOf(err)
	if status != 0 {
		p.Status, p.Title = status, http.StatusText(status)
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone; there is nobody else to tell
}
