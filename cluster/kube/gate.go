package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// gate is what every request of a place passes through. It lets nothing be written by who does not lead, and remembers what we
// may not do.
type gate struct {
	next  http.RoundTripper
	place *Place
}

// errNotLeading is why a request was not sent.
var errNotLeading = errors.New("another controller may lead now: nothing is written")

// RoundTrip sends a request. Who does not hold the lease only reads, and what it writes it waits for no longer than it holds it.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.place.lease == nil || r.Method == http.MethodGet {
		return g.send(r)
	}
	end := g.place.lease.end()
	if end.IsZero() {
		return nil, errNotLeading
	}
	ctx, cancel := context.WithDeadline(r.Context(), end)
	answer, err := g.send(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = &bounded{answer.Body, cancel}
	return answer, nil
}

// send sends a request and looks whether it was one that we may not make.
func (g *gate) send(r *http.Request) (*http.Response, error) {
	answer, err := g.next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		return answer, err
	}
	head, err := io.ReadAll(io.LimitReader(answer.Body, 16<<10))
	if err != nil {
		return nil, err
	}
	rest := answer.Body
	answer.Body = &bounded{io.NopCloser(io.MultiReader(bytes.NewReader(head), rest)), func() { rest.Close() }}
	if bytes.Contains(head, []byte(" cannot ")) { // a quota or a policy that forbids something says it otherwise
		g.place.missing.note(ruleFor(r), g.place.log)
	}
	return answer, nil
}

// bounded is the body of an answer, with something that ends when it is read.
type bounded struct {
	io.ReadCloser
	end func()
}

// Close ends it too.
func (b *bounded) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// rule is what a role has to have.
type rule struct{ group, resource, verb, namespace string }

// String writes it as roles do.
func (r rule) String() string {
	return fmt.Sprintf(`{apiGroups: [%q], resources: [%q], verbs: [%q]}`, r.group, r.resource, r.verb)
}

// ruleFor is the rule that a request needs: "/apis/batch/v1/namespaces/team/jobs/gpt2-1", "/api/v1/nodes".
func ruleFor(r *http.Request) rule {
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var need rule
	switch {
	case words[0] == "apis" && len(words) > 3:
		need.group, words = words[1], words[3:]
	case words[0] == "api" && len(words) > 2:
		words = words[2:]
	default:
		return rule{resource: r.URL.Path, verb: strings.ToLower(r.Method)}
	}
	if words[0] == "namespaces" && len(words) > 2 {
		need.namespace, words = words[1], words[2:]
	}
	need.resource = words[0]
	if len(words) > 2 {
		need.resource += "/" + words[2]
	}
	switch r.Method {
	case http.MethodPost:
		need.verb = "create"
	case http.MethodPut:
		need.verb = "update"
	case http.MethodGet:
		need.verb = "list"
		if len(words) > 1 {
			need.verb = "get"
		} else if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" {
			need.verb = "watch"
		}
	default:
		need.verb = strings.ToLower(r.Method)
	}
	return need
}

// missing are the rules that we were refused for want of.
type missing struct {
	mu   sync.Mutex
	told map[rule]time.Time
}

// sayAgain is when a rule that is still missing is told once more.
const sayAgain = 10 * time.Minute

func (m *missing) note(need rule, log *slog.Logger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, known := m.told[need]; known && time.Since(last) < sayAgain {
		return
	}
	if m.told == nil {
		m.told = map[rule]time.Time{}
	}
	m.told[need] = time.Now()
	where := need.namespace
	if where == "" {
		where = "all"
	}
	log.Error("a permission is missing; all that does not need it goes on", "rule", need.String(), "namespace", where)
}

// has reports whether we were refused for want of something about a resource.
func (m *missing) has(group, resource, verb string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for r := range m.told {
		if r.group == group && r.resource == resource && r.verb == verb {
			return true
		}
	}
	return false
}
