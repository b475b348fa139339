package kubetest

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// kubelet plays the port at which the API server asks every node for the output of its pods and for commands in them. What pods have said is what
// the test had them say.
type kubelet struct {
	port int

	mu   sync.Mutex
	said map[string]*saying // by namespace/pod
	run  func(Exec) int     // what is done with commands
}

// saying is the output of one pod.
type saying struct {
	lines []string
	over  bool
	grew  chan struct{} // closed and made anew when there is more
}

// startKubelet listens on loopback, until t ends.
func startKubelet(t testing.TB, a *authority) *kubelet {
	t.Helper()
	a.issue("kubelet", "kubelet", nil, true)
	cert, err := tls.LoadX509KeyPair(a.path("kubelet.crt"), a.path("kubelet.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &kubelet{port: l.Addr().(*net.TCPAddr).Port, said: map[string]*saying{}}
	server := &http.Server{Handler: k, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		_ = server.Close() // followers are cut off
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return k
}

// of is what a pod says.
func (k *kubelet) of(pod string) *saying {
	s := k.said[pod]
	if s == nil {
		s = &saying{grew: make(chan struct{})}
		k.said[pod] = s
	}
	return s
}

// add has a pod say more, or nothing ever again.
func (k *kubelet) add(pod string, over bool, lines ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.of(pod)
	s.lines, s.over = append(s.lines, lines...), s.over || over
	close(s.grew)
	s.grew = make(chan struct{})
}

// ServeHTTP answers /containerLogs/NAMESPACE/POD/CONTAINER and /exec/NAMESPACE/POD/CONTAINER.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if parts, ok := execPath(r.URL.Path); ok {
		k.exec(w, r, parts)
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/containerLogs/"), "/")
	if len(parts) != 3 {
		http.NotFound(w, r)
		return
	}
	follow := r.URL.Query().Get("follow") == "true"
	tail, err := strconv.Atoi(r.URL.Query().Get("tailLines"))
	for at := -1; ; {
		k.mu.Lock()
		s := k.of(parts[0] + "/" + parts[1])
		lines, over, grew := s.lines, s.over, s.grew
		k.mu.Unlock()
		if at < 0 {
			at = 0
			if err == nil {
				at = max(0, len(lines)-tail)
			}
		}
		for ; at < len(lines); at++ {
			if _, err := w.Write([]byte(lines[at] + "\n")); err != nil {
				return
			}
		}
		if over || !follow {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-grew:
		case <-r.Context().Done():
			return
		}
	}
}

// endpoint is where the API server finds the kubelet of every node.
func (k *kubelet) endpoint(s *corev1.NodeStatus) {
	s.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	s.DaemonEndpoints.KubeletEndpoint.Port = int32(k.port)
}

// Say has a pod of a job print lines: the one of that index in its newest attempt.
func (a *Agents) Say(job string, index int, lines ...string) {
	a.t.Helper()
	a.plane.starter.until("pod "+strconv.Itoa(index)+" of "+job, func() error {
		var newest *corev1.Pod
		for _, o := range a.store.List() {
			pod := o.(*corev1.Pod)
			if pod.Labels[labelName] == job && pod.Labels["batch.kubernetes.io/job-completion-index"] == strconv.Itoa(index) &&
				(newest == nil || pod.CreationTimestamp.After(newest.CreationTimestamp.Time)) {
				newest = pod
			}
		}
		if newest == nil {
			return errors.New("there is none")
		}
		a.plane.kubelet.add(newest.Namespace+"/"+newest.Name, false, lines...)
		return nil
	})
}
