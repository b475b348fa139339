package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"ainexus.io/nexus"
)

const (
	// heartbeat is how often an event stream says that it lives, so that a reader that is gone is noticed.
	heartbeat = 15 * time.Second
	// patience is how long a reader over TCP may leave a write waiting.
	patience = time.Minute
)

// problemTrailer is the trailer that carries a problem found after a stream began.
const problemTrailer = "Nexus-Problem"

// logsQuery is [LogQuery] on the wire.
type logsQuery struct {
	Ref     string `path:"ref" maxLength:"256"`
	Attempt int    `query:"attempt" minimum:"0" default:"0" doc:"0: the live or last one"`
	Round   int    `query:"round" minimum:"-1" default:"-1" doc:"-1: all of them, in order"`
	Rank    int    `query:"rank" minimum:"-1" default:"-1" doc:"-1: all of them, each line prefixed with its rank"`
	Tail    int    `query:"tail" minimum:"0" default:"0" doc:"last lines per rank; 0: all"`
	Follow  bool   `query:"follow" doc:"go on until the job is over"`
	Setup   bool   `query:"setup" doc:"the output of setup instead"`
}

// eventsQuery says where an event stream begins.
type eventsQuery struct {
	LastEventID uint64 `header:"Last-Event-ID" doc:"go on after this event; a browser sends it by itself"`
	After       uint64 `query:"after" doc:"the same, for the first request"`
	Job         string `query:"job" maxLength:"256" doc:"only events of this job"`
	New         bool   `query:"new" doc:"without an event to go on after: leave out what happened before"`
}

func (s *Server) addStreams(api huma.API) {
	logs := operation(http.MethodGet, "/jobs/{ref}/logs", "read-logs", "Read a job's output as text; problems after the first line come as the trailer "+problemTrailer)
	logs.Responses["200"] = &huma.Response{Description: "lines of text", Content: map[string]*huma.MediaType{
		"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	huma.Register(api, logs, func(ctx context.Context, q *logsQuery) (*huma.StreamResponse, error) {
		job, err := s.single(ctx, q.Ref)
		if err != nil {
			return nil, problemOf(err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.streamLogs(hc, job.ID, q) }}, nil
	})
	events := operation(http.MethodGet, "/events", "watch-events", "Watch what happens, as Server-Sent Events; each event's data is an Event")
	events.Responses["200"] = &huma.Response{Description: "one event per thing that happened; its id resumes the stream",
		Content: map[string]*huma.MediaType{"text/event-stream": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[nexus.Event](), true, "Event")}}}
	huma.Register(api, events, func(ctx context.Context, q *eventsQuery) (*huma.StreamResponse, error) {
		id := ""
		if q.Job != "" {
			job, err := s.single(ctx, q.Job)
			if err != nil {
				return nil, problemOf(err)
			}
			id = job.ID
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.streamEvents(hc, id, q) }}, nil
	})
}

// single finds one job: what grows of an array is read member by member.
func (s *Server) single(ctx context.Context, ref string) (JobView, error) {
	job, err := s.deps.Jobs.Job(ctx, ref)
	if err == nil && job.For(ref) {
		err = &nexus.Error{Code: nexus.CodeAmbiguous, Message: fmt.Sprintf("%q is an array of jobs", ref),
			Hint: "name one of its members, such as " + job.Spec.Name}
	}
	return job, err
}

// flusher sends each write on its way at once. Over TCP a reader that takes nothing is cut off.
type flusher struct {
	w        io.Writer
	control  *http.ResponseController
	patience time.Duration
}

func (s *Server) flusher(hc huma.Context) *flusher {
	r, w := humago.Unwrap(hc)
	f := &flusher{w: w, control: http.NewResponseController(w)}
	if _, onSocket := r.Context().Value(peerKey{}).(int); !onSocket {
		f.patience = patience
	}
	return f
}

func (f *flusher) Write(data []byte) (int, error) {
	if f.patience > 0 {
		// Where no deadline can be set, the reader is our own test.
		_ = f.control.SetWriteDeadline(time.Now().Add(f.patience))
	}
	n, err := f.w.Write(data)
	if err != nil {
		return n, err
	}
	return n, f.control.Flush()
}

func (s *Server) streamLogs(hc huma.Context, id string, q *logsQuery) {
	ctx, done := s.streaming(hc.Context())
	defer done()
	_, header := humago.Unwrap(hc)
	header.Header().Set("Trailer", problemTrailer)
	hc.SetHeader("Content-Type", "text/plain; charset=utf-8")
	hc.SetHeader("X-Content-Type-Options", "nosniff")
	hc.SetStatus(http.StatusOK)
	w := s.flusher(hc)
	if err := w.control.Flush(); err != nil {
		return
	}
	err := s.deps.Streams.Logs(ctx, id, LogQuery{
		Attempt: q.Attempt, Round: q.Round, Rank: q.Rank, Tail: q.Tail, Follow: q.Follow, Setup: q.Setup,
	}, w)
	if s.closing.Err() != nil {
		err = &nexus.Error{Code: nexus.CodeUnavailable, Message: "the daemon is stopping"}
	}
	if err == nil || hc.Context().Err() != nil {
		return
	}
	if data, err := json.Marshal(problemOf(err)); err == nil {
		header.Header().Set(problemTrailer, string(data))
	}
}

func (s *Server) streamEvents(hc huma.Context, id string, q *eventsQuery) {
	ctx, done := s.streaming(hc.Context())
	defer done()
	after := max(q.After, q.LastEventID)
	if q.New && after == 0 {
		after = FromNow
	}
	events, err := s.deps.Streams.Events(ctx, after)
	if err != nil {
		_, w := humago.Unwrap(hc)
		writeProblem(w, 0, err)
		return
	}
	hc.SetHeader("Content-Type", "text/event-stream")
	hc.SetHeader("Cache-Control", "no-store")
	hc.SetHeader("X-Accel-Buffering", "no")
	hc.SetStatus(http.StatusOK)
	w := s.flusher(hc)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	_, err = io.WriteString(w, "retry: 1000\n\n")
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			_, err = io.WriteString(w, ": still here\n\n")
		case e, open := <-events:
			switch {
			case !open:
				return
			case id != "" && e.Job != id:
			default:
				err = writeEvent(w, e)
			}
		}
	}
}

// writeEvent writes one event as its stream has it. JSON holds no bare newline, so nothing can end it early.
func writeEvent(w io.Writer, e nexus.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return errors.Join(errors.New("writing an event"), err)
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Kind, data)
	return err
}
