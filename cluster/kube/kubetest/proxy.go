package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Proxy stands between one client and the API server, on loopback, and speaks for a user of it. What is to become of requests
// is asked of the test.
type Proxy struct {
	// Kubeconfig is the path of a file by which a client reaches the API server through the proxy.
	Kubeconfig string

	mu     sync.Mutex
	before func(*http.Request) int
	after  func(*http.Request, []byte, int)
	bodies sync.Map // of writes, by request
	whole  context.Context
	cut    context.CancelFunc
}

// Proxy starts a proxy that speaks as the user of a kubeconfig. It ends with t.
func (p *Plane) Proxy(t testing.TB, kubeconfig string) *Proxy {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &Proxy{Kubeconfig: filepath.Join(t.TempDir(), "proxy.kubeconfig")}
	x.whole, x.cut = context.WithCancel(context.Background())
	p.write(x.Kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://%s"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, listener.Addr()))
	back := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: p.address})
	back.Transport, back.FlushInterval, back.ErrorLog = transport, -1, log.New(io.Discard, "", 0)
	back.ModifyResponse = func(r *http.Response) error {
		if tell := x.afters(); tell != nil && r.Request.Method != http.MethodGet {
			body, _ := x.bodies.LoadAndDelete(r.Request.Context().Value(requestKey{}))
			text, _ := body.([]byte)
			tell(r.Request, text, r.StatusCode)
		}
		return nil
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ask := x.befores(); ask != nil {
			switch status := ask(r); status {
			case 0:
			case Deaf:
				told := w
				w = httptest.NewRecorder() // the API server does it, and its answer is lost
				defer refuse(told, http.StatusInternalServerError)
			default:
				refuse(w, status)
				return
			}
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(x.line(), cancel)()
		r = r.WithContext(ctx)
		if r.Method != http.MethodGet {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // the client is gone
			}
			key := new(byte)
			x.bodies.Store(key, body)
			defer x.bodies.Delete(key)
			// A write that is on its way is done and told of, whether or not its client is still there: one that was done
			// and not told would be missing in what the test knows.
			r = r.WithContext(context.WithValue(context.WithoutCancel(r.Context()), requestKey{}, key))
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		back.ServeHTTP(w, r)
	})}
	go server.Serve(listener) //nolint:errcheck // it ends when it is closed
	t.Cleanup(func() { server.Close() })
	return x
}

type requestKey struct{}

// refuse answers in the API server's place.
func refuse(w http.ResponseWriter, status int) {
	if status == Away {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	reason := map[int]string{http.StatusConflict: "Conflict", http.StatusTooManyRequests: "TooManyRequests", http.StatusInternalServerError: "InternalError"}[status]
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the test says so","reason":%q,"code":%d}`, reason, status)
}

// What [Proxy.Before] may answer beside 0, which passes a request on, and a status, which is the answer instead.
const (
	// Away breaks the connection.
	Away = -1
	// Deaf passes the request on and answers that something went wrong.
	Deaf = -2
)

// Cut breaks all connections that there are, but for writes that are on their way.
func (x *Proxy) Cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cut()
	x.whole, x.cut = context.WithCancel(context.Background())
}

// line is a context that ends with the connections.
func (x *Proxy) line() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.whole
}

// Before has each request asked about before it is passed on. It may take its time.
func (x *Proxy) Before(ask func(r *http.Request) int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.before = ask
}

// After is told of each write that the API server has answered, with the request's body, before the client hears of it.
func (x *Proxy) After(tell func(r *http.Request, body []byte, status int)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.after = tell
}

func (x *Proxy) befores() func(*http.Request) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.before
}

func (x *Proxy) afters() func(*http.Request, []byte, int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.after
}

// JobName is the name and the attempt of the batch Job in the body of a request.
func JobName(body []byte) (name, attempt string, err error) {
	scheme := runtime.NewScheme()
	if err := batchv1.AddToScheme(scheme); err != nil {
		return "", "", err
	}
	o, _, err := serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return "", "", err
	}
	job, ok := o.(*batchv1.Job)
	if !ok {
		return "", "", fmt.Errorf("it is a %T", o)
	}
	return job.Name, job.Labels[labelAttempt], nil
}
