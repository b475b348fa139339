package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"ainexus.io/web"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// The page brings everything along: what it names is there, and nothing comes from elsewhere.
func TestThePageBringsEverythingAlong(t *testing.T) {
	page := get(t, "/")
	if page.Code != http.StatusOK || !strings.Contains(page.Header().Get("Content-Type"), "text/html") {
		t.Fatal(page.Code, page.Header())
	}
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(names) != 2 {
		t.Fatalf("the page names %v", names)
	}
	for _, name := range names {
		if file := get(t, name[1]); file.Code != http.StatusOK || file.Body.Len() == 0 {
			t.Errorf("%s: %d", name[1], file.Code)
		}
	}
	if regexp.MustCompile(`https?://`).MatchString(page.Body.String() + get(t, "/page.js").Body.String() + get(t, "/page.css").Body.String()) {
		t.Error("the page fetches something from elsewhere")
	}
}

// What jobs call themselves reaches the page as text only, and the browser is told to run nothing else.
func TestThePageIsSafe(t *testing.T) {
	script := get(t, "/page.js").Body.String()
	for _, danger := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("} {
		if strings.Contains(script, danger) {
			t.Errorf("page.js uses %s", danger)
		}
	}
	policy := get(t, "/").Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if html := get(t, "/").Body.String(); strings.Contains(html, "style=") || strings.Contains(html, "onclick") || strings.Contains(html, "<script>") {
		t.Error("the page holds what its own policy forbids")
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d", w.Code)
	}
	if w := get(t, "/../doc.go"); w.Code == http.StatusOK {
		t.Error("a file beside the page is served")
	}
}
