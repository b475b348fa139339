package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// Who gets in over TCP, and who does not.
func TestTheGuardOfTCP(t *testing.T) {
	d := newDaemon(t, func(o *api.Options) { o.Hosts = []string{"nexus.example.org"} })
	job := `{"run": "a", "workdir": "/"}`
	for _, c := range []struct {
		what, method, path string
		headers            []string
		status             int
	}{
		{"the owner", "POST", "/api/v1/jobs", nil, 201},
		{"a cookie", "GET", "/api/v1/jobs", []string{"Authorization: ", "Cookie: nexus_token=" + token}, 200},
		{"no token", "GET", "/api/v1/jobs", []string{"Authorization: "}, 401},
		{"a wrong token", "GET", "/api/v1/jobs", []string{"Authorization: Bearer a-token-of-the-tesT"}, 401},
		{"a wrong cookie", "GET", "/api/v1/jobs", []string{"Authorization: ", "Cookie: nexus_token=x"}, 401},
		{"another scheme", "GET", "/api/v1/jobs", []string{"Authorization: Basic " + token}, 401},
		{"a rebound name", "GET", "/api/v1/jobs", []string{"Host: evil.example.com"}, 421},
		{"a rebound name with our port", "GET", "/health", []string{"Host: evil.example.com:8000"}, 421},
		{"a known name", "GET", "/api/v1/jobs", []string{"Host: nexus.example.org"}, 200},
		{"a tunnel", "GET", "/api/v1/jobs", []string{"Host: localhost:9999"}, 200},
		{"our page", "POST", "/api/v1/jobs", []string{"Origin: http://" + d.addr}, 201},
		{"another page", "POST", "/api/v1/jobs", []string{"Origin: https://evil.example.com"}, 403},
		{"another port of this machine", "POST", "/api/v1/jobs", []string{"Origin: http://127.0.0.1:1"}, 403},
		{"a page that hides", "POST", "/api/v1/jobs", []string{"Origin: null"}, 403},
		{"an image of another page", "GET", "/api/v1/jobs", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a form", "POST", "/api/v1/jobs", []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"a form of plain text", "POST", "/api/v1/jobs/x/cancel", []string{"Content-Type: text/plain"}, 415},
		{"a form with a cookie", "POST", "/api/v1/jobs", []string{"Origin: https://evil.example.com", "Authorization: ",
			"Cookie: nexus_token=" + token, "Content-Type: application/x-www-form-urlencoded"}, 403},
		{"a write without a kind", "POST", "/api/v1/jobs/x/cancel", []string{"Content-Type: "}, 415},
		{"a probe", "GET", "/health", []string{"Authorization: "}, 200},
		{"a probe", "GET", "/ready", []string{"Authorization: "}, 200},
		{"a scrape on loopback", "GET", "/metrics", []string{"Authorization: "}, 200},
		{"the page", "GET", "/", []string{"Authorization: "}, 200},
		{"the description", "GET", "/openapi.json", []string{"Authorization: "}, 401},
	} {
		response, err := d.tcp(c.method, c.path, job, c.headers...)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s: %s %s with %q: %s, not %d: %s", c.what, c.method, c.path, c.headers, response.Status, c.status, body)
		}
	}
	if n := len(d.place.jobs); n != 2 {
		t.Errorf("%d jobs came in, not 2", n)
	}
}

func TestWithoutATokenNobodyGetsIn(t *testing.T) {
	d := newDaemon(t, func(o *api.Options) { o.Token = "" })
	for _, header := range []string{"Authorization: Bearer ", "Authorization: ", "Cookie: nexus_token="} {
		response, err := d.tcp("GET", "/api/v1/jobs", "", header)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %s", header, response.Status)
		}
	}
}

// TestMain lets the test start itself as a client that another user runs.
func TestMain(m *testing.M) {
	if socket := os.Getenv("TEST_SOCKET"); socket != "" {
		_, err := api.NewSocketClient(socket).Version(context.Background())
		fmt.Println(err)
		return
	}
	os.Exit(m.Run())
}

// asNobody connects to the socket as the user nobody and returns what it was told.
func (d *daemon) asNobody(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can become another user, and CI tests everything")
		}
		t.Skip("only root can become another user")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip("no /proc/self/exe to copy the test from")
	}
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(dir+"/client", self, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir + "/client")
	cmd.Dir = "/"
	cmd.Env = []string{"TEST_SOCKET=" + d.socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return string(out)
}

func TestAnotherUserIsRefusedAtTheSocket(t *testing.T) {
	d := newDaemon(t)
	info, err := os.Stat(d.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(strings.TrimSuffix(d.socket, "/s"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out := d.asNobody(t); !strings.Contains(out, "belongs to another user") {
		t.Errorf("by the mode of the socket: %s", out)
	}
	// Should the mode ever be wrong, the kernel's word about the peer still counts.
	if err := os.Chmod(d.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if out := d.asNobody(t); !strings.Contains(out, "belongs to another user") {
		t.Errorf("by the peer's uid: %s", out)
	}
}

func TestRootSpeaksInItsOwnName(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root is let in beside the owner")
	}
	d := newDaemon(t, func(o *api.Options) { o.UID, o.User = 65534, "nobody" })
	if _, err := d.client.Submit(testContext(t), api.Submission{Spec: parse(t, "run: a"), Dir: "/"}); err != nil {
		t.Fatal(err)
	}
	if got := d.place.subs[0].User; got != "root" {
		t.Errorf("the job's user is %q", got)
	}
}

func TestASocketPathThatIsTooLongIsRefused(t *testing.T) {
	_, err := api.ListenSocket("/tmp/" + strings.Repeat("x", 200))
	var e *nexus.Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "NEXUS_STATE") {
		t.Errorf("%v", err)
	}
}

// A client that sends its headers a byte at a time holds nobody up; requests are counted while they last.
func TestSlowClientsHoldNobodyUp(t *testing.T) {
	d := newDaemon(t)
	ctx := testContext(t)
	for range 50 {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /api/v1/jobs HTTP/1.1\r\nHost: ")
	}
	if _, err := d.client.Version(ctx); err != nil {
		t.Error(err)
	}
	if active, _ := d.server.Activity(); active != 0 {
		t.Errorf("%d requests are active", active)
	}
	events, err := d.client.Events(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if active, last := d.server.Activity(); active != 1 || time.Since(last) > time.Minute {
		t.Errorf("%d requests are active, the last change was at %v", active, last)
	}
	_ = events
}

// Too many streams are refused instead of piling up.
func TestTooManyStreamsAreRefused(t *testing.T) {
	d := newDaemon(t)
	open := 0
	for range 520 {
		c, err := net.Dial("unix", d.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, " 200 ") {
			open++
		} else if !strings.Contains(line, " 503 ") {
			t.Fatal(line)
		}
	}
	if open != 512 {
		t.Errorf("%d streams are open", open)
	}
}
