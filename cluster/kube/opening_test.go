package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"

	"ainexus.io/nexus"
)

// A way between the pods of a job that an earlier controller began is tried to be made until it is, or cannot be.
func TestAWayIsTriedUntilItIsMade(t *testing.T) {
	code := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, map[int]string{403: "Forbidden", 500: "InternalError"}[code], code)
	}))
	defer server.Close()
	c, err := newClients(&rest.Config{Host: server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []struct {
		code   int
		opened bool
	}{{http.StatusInternalServerError, false}, {http.StatusForbidden, true}} {
		p := &Place{clients: c, view: newView(), opts: Options{Policed: []string{"team"}}}
		o := object("a", "1", nexus.Running, 1)
		o.Status.Seats = append(o.Status.Seats, o.Status.Seats[0])
		o.Status.Seats[1].Node = "n2"
		p.view.setJob(o)
		s, _ := p.view.look("a", noon)
		code = answer.code
		if err := p.opens(t.Context(), s); err == nil || p.view.jobs["a"].opened != answer.opened {
			t.Errorf("answered %d: %v, and it is taken for opened: %v", code, err, p.view.jobs["a"].opened)
		}
	}
}
