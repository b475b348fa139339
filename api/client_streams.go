package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ainexus.io/nexus"
)

// Logs copies a job's output to w. A stream that breaks off is [nexus.CodeUnavailable]: the daemon went away.
func (c *Client) Logs(ctx context.Context, ref string, q LogQuery, w io.Writer) error {
	query := url.Values{}
	for key, value := range map[string]int{"attempt": q.Attempt, "round": q.Round, "rank": q.Rank, "tail": q.Tail} {
		query.Set(key, strconv.Itoa(value))
	}
	query.Set("follow", strconv.FormatBool(q.Follow))
	query.Set("setup", strconv.FormatBool(q.Setup))
	response, err := c.open(ctx, call{method: http.MethodGet, path: jobPath(ref, "/logs"), query: query})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	out := &watched{w: w}
	if _, err := io.Copy(out, response.Body); err != nil {
		if out.err != nil {
			return out.err
		}
		return c.away(ctx, err)
	}
	if text := response.Trailer.Get(problemTrailer); text != "" {
		var p Problem
		if json.Unmarshal([]byte(text), &p) == nil {
			return p.nexusError()
		}
	}
	return nil
}

// watched remembers that writing failed, as opposed to reading.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(data []byte) (int, error) {
	n, err := w.w.Write(data)
	w.err = err
	return n, err
}

// Events sends the events with Seq > after, then new ones. The channel is closed when ctx ends or the stream breaks
// off; the reader goes on with the last Seq it saw.
func (c *Client) Events(ctx context.Context, after uint64) (<-chan nexus.Event, error) {
	return c.events(ctx, after, url.Values{})
}

// JobEvents is Events for one job.
func (c *Client) JobEvents(ctx context.Context, ref string, after uint64) (<-chan nexus.Event, error) {
	return c.events(ctx, after, url.Values{"job": {ref}})
}

func (c *Client) events(ctx context.Context, after uint64, query url.Values) (<-chan nexus.Event, error) {
	what := call{method: http.MethodGet, path: "/events", query: query, header: http.Header{}}
	if after == FromNow {
		query.Set("new", "true")
	} else {
		what.header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	}
	what.header.Set("Accept", "text/event-stream")
	response, err := c.open(ctx, what)
	if err != nil {
		return nil, err
	}
	events := make(chan nexus.Event)
	go func() {
		defer close(events)
		defer response.Body.Close()
		readEvents(ctx, response.Body, events)
	}()
	return events, nil
}

// readEvents takes the data of an event stream apart. Events of ours have one line of data each.
func readEvents(ctx context.Context, r io.Reader, events chan<- nexus.Event) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e nexus.Event
		if json.Unmarshal([]byte(data), &e) != nil {
			return // not ours
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return
		}
	}
}
