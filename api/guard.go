package api

import (
	"context"
	"crypto/subtle"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// tokenCookie carries the token where a client cannot set headers.
const tokenCookie = "nexus_token"

// maxActive bounds the requests and streams that are served at a time.
const maxActive = 512

// userKey is the context's key of the caller's user name.
type userKey struct{}

func userOf(ctx context.Context) string {
	name, _ := ctx.Value(userKey{}).(string)
	return name
}

// peerKey is the context's key of the uid at the other end of a unix socket.
type peerKey struct{}

// counted keeps account of requests, streams included, and refuses them where there are too many. Probes and scrapes
// are left out: a daemon that ends when idle should not live on because somebody measures it.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		defer s.leave()
		if s.enter() > maxActive {
			writeProblem(w, 0, &nexus.Error{Code: nexus.CodeUnavailable,
				Message: "too many requests at a time", Hint: "close some of the streams, or try again"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onSocket lets in the daemon's own user and root: the kernel says who is at the other end.
func (s *Server) onSocket(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, ok := r.Context().Value(peerKey{}).(int)
		if !ok || uid != s.opts.UID && uid != 0 {
			writeProblem(w, 0, &nexus.Error{Code: nexus.CodeDenied, Message: "this daemon belongs to another user",
				Hint: "start your own: nexus up"})
			return
		}
		name := s.opts.User
		if uid != s.opts.UID {
			name = nameOf(uid)
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, name)))
	})
}

// overTCP lets in who knows the token, on loopback too: there every user of the machine can connect. Foreign hosts
// and origins are refused first, so that a web page can not make a browser speak for its user.
func (s *Server) overTCP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.knowsHost(r.Host):
			writeProblem(w, http.StatusMisdirectedRequest, &nexus.Error{Code: nexus.CodeDenied,
				Message: "the host of the request is not an address of this daemon", Hint: "nexus open prints the address to use"})
		case !sameOrigin(r):
			writeProblem(w, 0, &nexus.Error{Code: nexus.CodeDenied, Message: "requests from other origins are refused"})
		case isOpen(r) || r.URL.Path == "/metrics" && fromLoopback(r):
			next.ServeHTTP(w, r)
		case !s.knowsToken(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="nexus"`)
			writeProblem(w, http.StatusUnauthorized, &nexus.Error{Code: nexus.CodeDenied,
				Message: "the token is missing or wrong", Hint: "nexus token prints it; send it as Authorization: Bearer TOKEN"})
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, s.opts.User)))
		}
	})
}

// isOpen says whether a request needs no token: the probes, and the page itself, which holds nothing secret.
func isOpen(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	path := r.URL.Path
	return !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/openapi") && path != "/metrics"
}

// isProbe says whether a machine asks how the daemon is, at regular times.
func isProbe(r *http.Request) bool {
	return r.URL.Path == "/health" || r.URL.Path == "/ready" || r.URL.Path == "/metrics"
}

// onlyJSON refuses writes that a foreign form could send without asking first, and bounds their bodies.
func onlyJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || kind != "application/json" {
				writeProblem(w, http.StatusUnsupportedMediaType, &nexus.Error{Code: nexus.CodeInvalid,
					Message: "writes are taken as application/json only", Hint: "set Content-Type: application/json"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) knowsToken(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		cookie, err := r.Cookie(tokenCookie)
		if err != nil {
			return false
		}
		token = cookie.Value
	}
	return s.opts.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.opts.Token)) == 1
}

// knowsHost accepts the addresses on which the daemon listens, by any port: a tunnel may have another one.
func (s *Server) knowsHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	return slices.Contains(s.hosts, name)
}

// sameOrigin accepts requests that no page sent, and those of our own.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site" || isOpen(r)
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func fromLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// hostsOf are the names by which an address may be spoken to.
func hostsOf(addr string, more []string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(addr); err == nil {
		hosts = append(hosts, strings.ToLower(host))
	}
	for _, host := range more {
		hosts = append(hosts, strings.ToLower(host))
	}
	return hosts
}
