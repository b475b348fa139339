package api_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// Queues travel as they are, strictly read; only the owner sends any.
func TestQueues(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	eight, none, much := 8, 0, nexus.MiB(40<<10)
	want := []nexus.Queue{
		{Name: "org", Quota: []nexus.Quota{{GPUModel: "H100", GPUs: &eight, GPUMemory: &much}}},
		{Name: "nlp", Parent: "org", LendLimit: &none, Weight: 2, Order: nexus.OrderFair, PricePerGPUHour: 2500, Users: []string{"ada"}},
	}
	changes, err := d.client.ApplyQueues(ctx, want)
	if err != nil || len(changes.Queues) != 2 || changes.Queues[1] != (api.QueueChange{Name: "nlp", Change: "created"}) || len(changes.Notices) != 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if !reflect.DeepEqual(d.place.queues, want) {
		t.Errorf("the place got %+v", d.place.queues)
	}
	queues, err := d.client.Queues(ctx)
	if err != nil || len(queues) != 3 || !reflect.DeepEqual(queues[2].Queue, want[1]) {
		t.Errorf("%+v, %v", queues, err)
	}
	var refused *nexus.Error
	if err := d.client.DeleteQueue(ctx, "nlp"); !errors.As(err, &refused) || refused.Code != nexus.CodeConflict {
		t.Errorf("delete: %v", err)
	}
	history, err := d.client.History(ctx, "queue", nexus.Duration(36*3600e9))
	if err != nil || len(history.History) != 1 || history.History[0] != (nexus.QueueHistory{Queue: "queue", GPUSeconds: 36 * 3600, Price: 2500}) {
		t.Errorf("history: %+v, %v", history, err)
	}
}

func TestQueuesAreRefused(t *testing.T) {
	d := newDaemon(t)
	for _, row := range []struct{ method, path, body, want string }{
		{"PUT", "/queues", `{"queues": [{"name": "a", "qouta": []}]}`, `unknown field \"qouta\"`},
		{"PUT", "/queues", `{"queues": [{"name": "a"}, {"name": "a"}]}`, "queue a is there twice"},
		{"PUT", "/queues", `{"queues": []}`, "not a list of queues"},
		{"PUT", "/queues", `{"queue": {}}`, "not a list of queues"},
		{"PUT", "/queues", `[`, "not a list of queues"},
		{"GET", "/history?since=yesterday", "", "not a length of time"},
		{"GET", "/history?by=day", "", "by"},
	} {
		response, err := d.tcp(row.method, api.Prefix+row.path, row.body)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(data), row.want) {
			t.Errorf("%s %s %s: %s %s", row.method, row.path, row.body, response.Status, data)
		}
	}
	if len(d.place.queues) != 0 {
		t.Errorf("the place got %+v", d.place.queues)
	}
}

// Root may look at anybody's daemon, and leaves queues to its owner.
func TestOnlyTheOwnerChangesQueues(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("nobody but root is let in beside the owner")
	}
	d := newDaemon(t, func(o *api.Options) { o.UID = 12345 })
	ctx := testContext(t)
	if _, err := d.client.Queues(ctx); err != nil {
		t.Fatal(err)
	}
	var refused *nexus.Error
	if _, err := d.client.ApplyQueues(ctx, []nexus.Queue{{Name: "a"}}); !errors.As(err, &refused) || refused.Code != nexus.CodeDenied {
		t.Errorf("apply: %v", err)
	}
	if err := d.client.DeleteQueue(ctx, "default"); !errors.As(err, &refused) || refused.Code != nexus.CodeDenied {
		t.Errorf("delete: %v", err)
	}
}
