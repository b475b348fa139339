package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"ainexus.io/api"
)

// The committed description is what clients are made from: a change of the wire shows in its diff.
func TestTheDescriptionIsCommitted(t *testing.T) {
	doc, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", doc, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(doc, committed) {
		t.Error("openapi.json and the code have drifted apart: go test ./api -run Description -update, and read the diff")
	}
}

var update = flag.Bool("update", false, "write openapi.json")

func TestTheDescriptionIsServed(t *testing.T) {
	d := newDaemon(t)
	response, err := d.tcp("GET", "/openapi.json", "")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	served, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	committed, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(served, &a) != nil || json.Unmarshal(committed, &b) != nil || !reflect.DeepEqual(a, b) {
		t.Error("what is served is not what is committed")
	}
}

func TestTheDescriptionNamesEveryRoute(t *testing.T) {
	doc, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(doc, &parsed); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(parsed.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", parsed.OpenAPI)
	}
	for path, methods := range map[string][]string{
		"/jobs": {"get", "post"}, "/jobs/{ref}": {"get", "patch"}, "/jobs/{ref}/why": {"get"}, "/jobs/{ref}/cancel": {"post"},
		"/jobs/{ref}/requeue": {"post"}, "/jobs/{ref}/hold": {"post"}, "/jobs/{ref}/release": {"post"}, "/jobs/{ref}/logs": {"get"}, "/jobs/{ref}/checkpoints": {"get"}, "/events": {"get"}, "/nodes": {"get"}, "/queues": {"get", "put"}, "/queues/{name}": {"delete"}, "/history": {"get"}, "/version": {"get"},
	} {
		for _, method := range methods {
			if parsed.Paths[api.Prefix+path][method] == nil {
				t.Errorf("%s %s is missing", method, path)
			}
		}
	}
}
