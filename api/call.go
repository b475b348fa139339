package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"ainexus.io/nexus"
)

// answerTime bounds a request whose answer is one value.
const answerTime = 30 * time.Second

// maxAnswer bounds an answer of one value.
const maxAnswer = 64 << 20

// call is one request.
type call struct {
	method, path string // the path below [Prefix]
	outside      bool   // the path is not below it
	query        url.Values
	body         any // sent as JSON; nil: none
	key          string
	header       http.Header
}

// get asks for one value.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (value T, err error) {
	return value, c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &value)
}

// do sends the request and decodes the answer into value.
func (c *Client) do(ctx context.Context, what call, value any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	response, err := c.open(ctx, what)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.away(ctx, err)
	}
	if err := json.Unmarshal(data, value); err != nil {
		return &nexus.Error{Code: nexus.CodeUnavailable, Message: "what answers at " + c.where + " is not a daemon of AI-Nexus: " + err.Error()}
	}
	return nil
}

// open sends the request and returns the answer, which the caller closes. An answer that is a problem comes as the error.
func (c *Client) open(ctx context.Context, what call) (*http.Response, error) {
	target := c.base + Prefix + what.path
	if what.outside {
		target = c.base + what.path
	}
	if len(what.query) > 0 {
		target += "?" + what.query.Encode()
	}
	var body io.Reader
	if what.body != nil {
		data, err := json.Marshal(what.body)
		if err != nil {
			return nil, fmt.Errorf("writing a request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, what.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("writing a request: %w", err)
	}
	for key, values := range what.header {
		r.Header[key] = values
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if what.key != "" {
		r.Header.Set("Idempotency-Key", what.key)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.away(ctx, err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, c.problem(response)
}

// away says in words why nobody answers.
func (c *Client) away(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	e := &nexus.Error{Code: nexus.CodeUnavailable, Message: "no daemon answers at " + c.where}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		e.Hint = "start one: nexus up"
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.Message = nexus.CodeDenied, "the daemon at "+c.where+" belongs to another user"
		e.Hint = "check who owns the state directory, or choose another with --state"
	case errors.Is(err, context.DeadlineExceeded):
		e.Message = "the daemon at " + c.where + " does not answer in time"
	default:
		e.Message += ": " + innermost(err).Error()
	}
	return e
}

// innermost leaves out what net/http puts around an error: method, URL and dialling are said already.
func innermost(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// problem turns an answer back into the error that it was.
func (c *Client) problem(response *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return c.away(context.Background(), err)
	}
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil || p.Status == 0 {
		return &nexus.Error{Code: codeOf(response.StatusCode), Message: fmt.Sprintf("%s answers %s", c.where, response.Status)}
	}
	return p.nexusError()
}

// nexusError is the error that a problem was made of.
func (p *Problem) nexusError() error {
	if p.Code == "" {
		p.Code = codeOf(p.Status)
	}
	if len(p.Errors) == 0 {
		return &nexus.Error{Code: p.Code, Message: p.Detail, Hint: p.Hint}
	}
	var list nexus.Errors
	for _, d := range p.Errors {
		e := &nexus.Error{Code: d.Code, Message: d.Message, Hint: d.Hint, Line: d.Line, Column: d.Column}
		if e.Code == "" {
			e.Code = p.Code
		}
		e.Field = strings.TrimPrefix(d.Location, bodyLocation)
		list = append(list, e)
	}
	if len(list) == 1 {
		return list[0]
	}
	return list
}
