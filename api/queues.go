package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// maxSince is how far back history can be asked for; places keep less.
const maxSince = 10 * 365 * 24 * time.Hour

// queueRef names one queue.
type queueRef struct {
	Name string `path:"name" maxLength:"63" doc:"the queue's name"`
}

func (s *Server) addQueues(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/queues", "list-queues", "List queues and how they stand"),
		func(ctx context.Context, _ *struct{}) (*body[QueueList], error) {
			queues, err := s.deps.Queues.Queues(ctx)
			return reply(QueueList{nonNil(queues)}, err)
		})
	s.addApply(api)
	drop := operation(http.MethodDelete, "/queues/{name}", "delete-queue", "Delete a queue that has no jobs; the default one stays, without limits")
	drop.DefaultStatus = http.StatusOK
	huma.Register(api, drop, func(ctx context.Context, in *queueRef) (*body[QueueChange], error) {
		if err := s.ownerOnly(ctx); err != nil {
			return nil, problemOf(err)
		}
		return reply(QueueChange{Name: in.Name, Change: "deleted"}, s.deps.Queues.DeleteQueue(ctx, in.Name))
	})
	history := operation(http.MethodGet, "/history", "list-history", "Tell who had how much of which queue")
	type query struct {
		By    string `query:"by" enum:"queue,user" doc:"add up by queue or by user; default: by both"`
		Since string `query:"since" default:"7d" doc:"how far back, such as 36h or 30d"`
	}
	huma.Register(api, history, func(ctx context.Context, q *query) (*body[HistoryList], error) {
		back, err := nexus.ParseDuration(q.Since)
		if err != nil || back <= 0 || time.Duration(back) > maxSince {
			return nil, problemOf(&nexus.Error{Code: nexus.CodeInvalid, Field: "since", Message: "since is not a length of time such as 36h or 30d"})
		}
		since := time.Now().Add(-time.Duration(back))
		list, err := s.deps.Queues.History(ctx, q.By, since)
		return reply(HistoryList{since.UTC().Truncate(time.Second), nonNil(list)}, err)
	})
}

// addApply takes queues as jobfile reads them, whose errors name the place.
func (s *Server) addApply(api huma.API) {
	op := operation(http.MethodPut, "/queues", "apply-queues", "Add queues and replace those of the same name; all or none")
	op.MaxBodyBytes = maxBody
	op.SkipValidateBody = true
	queue := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[nexus.Queue](), true, "Queue")
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"queues"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"queues": {Type: huma.TypeArray, Items: queue}},
	}}}}
	type input struct {
		RawBody []byte `contentType:"application/json"`
	}
	huma.Register(api, op, func(ctx context.Context, in *input) (*body[QueueChanges], error) {
		if err := s.ownerOnly(ctx); err != nil {
			return nil, problemOf(err)
		}
		queues, notices, err := readQueues(in.RawBody)
		if err != nil {
			return nil, problemOf(err)
		}
		changes, err := s.deps.Queues.ApplyQueues(ctx, queues)
		changes.Notices = append(notices, changes.Notices...)
		return reply(changes, err)
	})
}

// readQueues reads each queue by itself, so that errors are those of the queue's own document.
func readQueues(data []byte) (queues []nexus.Queue, notices []string, err error) {
	var list queuesBody
	if err := strictly(data, &list); err != nil || len(list.Queues) == 0 {
		return nil, nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "the body is not a list of queues", Hint: `send {"queues": [{"name": ...}, ...]}`}
	}
	seen := map[string]bool{}
	for _, document := range list.Queues {
		one, notes, err := jobfile.ParseQueues(document, "the queue")
		if err != nil {
			return nil, nil, err
		}
		for _, q := range one {
			if seen[q.Name] {
				return nil, nil, &nexus.Error{Code: nexus.CodeInvalid, Field: "name", Message: "queue " + q.Name + " is there twice"}
			}
			seen[q.Name] = true
		}
		queues = append(queues, one...)
		for _, n := range notes {
			notices = append(notices, n.Message)
		}
	}
	return queues, notices, nil
}

// ownerOnly refuses everybody but the daemon's owner.
func (s *Server) ownerOnly(ctx context.Context) error {
	if user := userOf(ctx); user != s.opts.User {
		return &nexus.Error{Code: nexus.CodeDenied, Message: "only " + s.opts.User + ", whose daemon this is, may change queues"}
	}
	return nil
}

// Queues lists the queues and how they stand.
func (c *Client) Queues(ctx context.Context) ([]nexus.QueueState, error) {
	list, err := get[QueueList](ctx, c, "/queues", nil)
	return list.Queues, err
}

// ApplyQueues adds queues and replaces those of the same name.
func (c *Client) ApplyQueues(ctx context.Context, queues []nexus.Queue) (changes QueueChanges, err error) {
	list := struct {
		Queues []nexus.Queue `json:"queues"`
	}{queues}
	return changes, c.do(ctx, call{method: http.MethodPut, path: "/queues", body: list}, &changes)
}

// DeleteQueue deletes a queue.
func (c *Client) DeleteQueue(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/queues/" + url.PathEscape(name), body: struct{}{}}, &QueueChange{})
}

// History tells what was had since a time.
func (c *Client) History(ctx context.Context, by string, since nexus.Duration) (HistoryList, error) {
	q := url.Values{"since": {since.String()}}
	if by != "" {
		q.Set("by", by)
	}
	return get[HistoryList](ctx, c, "/history", q)
}

// strictly decodes one JSON value that has no fields but those that are known.
func strictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
