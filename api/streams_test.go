package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func next(t *testing.T, events <-chan nexus.Event) nexus.Event {
	t.Helper()
	select {
	case e, open := <-events:
		if !open {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
	}
	return nexus.Event{}
}

// A reader that was cut off goes on with the event after the last one it saw.
func TestEventsResume(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	for range 3 {
		if _, err := d.client.Submit(ctx, api.Submission{Spec: parse(t, "run: a"), Dir: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	first, cut := context.WithCancel(ctx)
	events, err := d.client.Events(first, 0)
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Seq != 1 {
		t.Fatalf("the stream begins with %d", e.Seq)
	}
	last := next(t, events).Seq
	cut()
	if _, err := d.client.Cancel(ctx, d.place.jobs[0].ID); err != nil {
		t.Fatal(err)
	}
	events, err = d.client.Events(ctx, last)
	if err != nil {
		t.Fatal(err)
	}
	for want := last + 1; want <= 4; want++ {
		if e := next(t, events); e.Seq != want {
			t.Fatalf("event %d instead of %d", e.Seq, want)
		}
	}
	if _, err := d.client.Cancel(ctx, d.place.jobs[1].ID); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Seq != 5 || e.Message != "Cancelled" {
		t.Errorf("live: %+v", e)
	}
}

func TestEventsOfOneJobAndNewOnes(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	for _, name := range []string{"a", "b"} {
		if _, err := d.client.Submit(ctx, api.Submission{Spec: parse(t, "{run: x, name: "+name+"}"), Dir: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	of, err := d.client.JobEvents(ctx, "b", 0)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := d.client.Events(ctx, api.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, of); e.Seq != 2 {
		t.Errorf("of b: %+v", e)
	}
	if _, err := d.client.Cancel(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if e := next(t, fresh); e.Seq != 3 {
		t.Errorf("new: %+v", e)
	}
}

// What the stream looks like to others, and that a name cannot end an event early.
func TestEventsOnTheWire(t *testing.T) {
	d := newDaemon(t)
	if _, err := d.client.Submit(testContext(t), api.Submission{Spec: parse(t, "run: a"), Dir: "/"}); err != nil {
		t.Fatal(err)
	}
	d.place.mu.Lock()
	d.place.tell("x", "a\n\nid: 99\ndata: {}\n\n")
	d.place.mu.Unlock()
	response, err := d.tcp("GET", "/api/v1/events", "", "Last-Event-ID: 1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("it is %q", kind)
	}
	buffer := make([]byte, 4096)
	text := ""
	for !strings.Contains(text, "data:") {
		n, err := response.Body.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		text += string(buffer[:n])
	}
	_, event, _ := strings.Cut(text, "\n\n")
	if !strings.HasPrefix(event, "id: 2\nevent: phase\ndata: {") || strings.Count(event, "\n") != 4 {
		t.Errorf("%q", event)
	}
}

func TestLogs(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	if _, err := d.client.Submit(ctx, api.Submission{Spec: parse(t, "{run: a, name: j}"), Dir: "/"}); err != nil {
		t.Fatal(err)
	}
	var asked api.LogQuery
	more := make(chan struct{})
	d.place.logs = func(ctx context.Context, q api.LogQuery, w io.Writer) error {
		asked = q
		fmt.Fprintln(w, "[0] one")
		if !q.Follow {
			return nil
		}
		<-more
		fmt.Fprintln(w, "[1] two")
		return &nexus.Error{Code: nexus.CodeNotFound, Message: "the log is gone"}
	}
	var out bytes.Buffer
	want := api.LogQuery{Attempt: 2, Round: 1, Rank: 3, Tail: 7, Setup: true}
	if err := d.client.Logs(ctx, "j", want, &out); err != nil || out.String() != "[0] one\n" || asked != want {
		t.Errorf("%q, %v; asked %+v", out.String(), err, asked)
	}
	// Lines come when they are written, and an error at the end is told.
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- d.client.Logs(ctx, "j", api.LogQuery{Round: -1, Rank: -1, Follow: true}, w)
		w.Close()
	}()
	line := make([]byte, 8)
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "[0] one\n" {
		t.Fatalf("%q, %v", line, err)
	}
	close(more)
	if rest, err := io.ReadAll(r); err != nil || string(rest) != "[1] two\n" {
		t.Errorf("%q, %v", rest, err)
	}
	var e *nexus.Error
	if err := <-ended; !errors.As(err, &e) || e.Code != nexus.CodeNotFound {
		t.Errorf("%v", err)
	}
}

// A server that stops ends its streams, and says so.
func TestStopEndsStreams(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	if _, err := d.client.Submit(ctx, api.Submission{Spec: parse(t, "{run: a, name: j}"), Dir: "/"}); err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	d.place.logs = func(ctx context.Context, _ api.LogQuery, _ io.Writer) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}
	events, err := d.client.Events(ctx, api.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.client.Logs(ctx, "j", api.LogQuery{Follow: true}, io.Discard) }()
	<-began
	if err := d.server.Stop(ctx); err != nil {
		t.Error(err)
	}
	for range events {
		t.Error("an event after the end")
	}
	var e *nexus.Error
	if err := <-ended; !errors.As(err, &e) || e.Code != nexus.CodeUnavailable {
		t.Errorf("%v", err)
	}
}
