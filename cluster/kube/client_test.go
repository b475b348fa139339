package kube

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// A write of a status sends the status and which version it is of, no more; who was overtaken is told so.
func TestAStatusIsWrittenAlone(t *testing.T) {
	var sent map[string]json.RawMessage
	kept := `{"attempt":1}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &sent)
		}
		if err != nil || r.Method != http.MethodPut || r.URL.Path != "/apis/ainexus.io/v1alpha1/namespaces/team/nexusjobs/a/status" {
			t.Errorf("%v: %s %s: %s", err, r.Method, r.URL, text)
		}
		var meta struct{ ResourceVersion string }
		if err := json.Unmarshal(sent["metadata"], &meta); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		if meta.ResourceVersion != "5" {
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`)
			return
		}
		io.WriteString(w, `{"kind":"NexusJob","apiVersion":"ainexus.io/v1alpha1","metadata":{"name":"a","namespace":"team","uid":"a","resourceVersion":"6"},"spec":{"run":"else"},"status":`+kept+`}`)
	}))
	defer server.Close()
	c, err := newClients(&rest.Config{Host: server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := object("a", "5", nexus.Starting, 1)
	written, err := c.putStatus(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if written.ResourceVersion != "6" || written.UID != "a" || written.Status.Attempt != 1 || string(written.Spec.Run.Raw) != `"train"` || o.ResourceVersion != "5" {
		t.Errorf("it is now %+v", written)
	}
	if _, ok := sent["spec"]; ok || len(sent) != 4 || len(sent["status"]) == 0 {
		t.Errorf("sent %s", sent)
	}
	for _, answer := range []struct {
		status string
		line   bool
	}{{`{"line":{"asOf":"2026-01-01T00:00:00Z"}}`, true}, {`{}`, false}} { // a server that is older than we are drops it
		kept = answer.status
		o.Status.Line = &v1alpha1.Line{Place: 3}
		if written, err = c.putStatus(t.Context(), o); err != nil || (written.Status.Line != nil) != answer.line || o.Status.Line == nil {
			t.Errorf("answered %s it stands %+v, %v", kept, written.Status.Line, err)
		}
	}
	if _, err := c.putStatus(t.Context(), object("a", "4", nexus.Starting, 1)); !apierrors.IsConflict(err) {
		t.Errorf("of an old version: %v", err)
	}
}
