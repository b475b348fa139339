package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Whoever looks from another machine shows the token, for /metrics too; on loopback /metrics alone is open.
func TestAScrapeFromAfarNeedsTheToken(t *testing.T) {
	s := &Server{opts: Options{Token: "sesame"}, hosts: []string{"here"}}
	guarded := s.overTCP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, row := range []struct {
		from, method, path, token string
		status                    int
	}{
		{"127.0.0.1:5000", "GET", "/metrics", "", 200},
		{"[::1]:5000", "GET", "/metrics", "", 200},
		{"192.0.2.7:5000", "GET", "/metrics", "", 401},
		{"[2001:db8::7]:5000", "GET", "/metrics", "", 401},
		{"192.0.2.7:5000", "GET", "/metrics", "wrong", 401},
		{"192.0.2.7:5000", "GET", "/metrics", "sesame", 200},
		{"192.0.2.7:5000", "GET", "/health", "", 200},
		{"192.0.2.7:5000", "GET", "/ready", "", 200},
		{"127.0.0.1:5000", "GET", "/api/v1/jobs", "", 401},
	} {
		r := httptest.NewRequest(row.method, "http://here"+row.path, nil)
		r.RemoteAddr = row.from
		if row.token != "" {
			r.Header.Set("Authorization", "Bearer "+row.token)
		}
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		if w.Code != row.status {
			t.Errorf("%s %s from %s with token %q: %d, not %d", row.method, row.path, row.from, row.token, w.Code, row.status)
		}
	}
}
