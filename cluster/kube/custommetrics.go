package kube

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"golang.org/x/sync/errgroup"

	"ainexus.io/nexus"
)

// GPUMetrics serves the one metric that autoscalers want, nexus_pod_gpu_utilization, as custom.metrics.k8s.io (metricsapi.go):
// the API server's aggregator sends to it what the HPA controller asks. Agents on nodes tell it how busy GPUs are. It does
// nothing while the group is nobody's, or another's: of two that answer, one is ignored.
type GPUMetrics struct {
	opts     GPUMetricsOptions
	log      *slog.Logger
	clients  *clients
	client   *http.Client // of agents
	cert     *x509.Certificate
	listener net.Listener
	server   *http.Server
	gate     *frontProxy

	mu   sync.Mutex
	ours bool
	said string // about the owner, last
	use  map[podName]reading

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
}

// reading is how busy a pod's GPUs were.
type reading struct {
	milli int64 // thousandths of a percent
	at    time.Time
}

// GPUMetricsOptions are the settings of [GPUMetrics].
type GPUMetricsOptions struct {
	// Kubeconfig is as in [Options].
	Kubeconfig string
	// Listen is the host:port. No default.
	Listen string
	// Certs is a directory with tls.crt and tls.key; what signed the first is the caBundle of our APIService. No default.
	Certs string
	// Agents selects the pods that tell of GPUs, by labels: agents of ours, or NVIDIA's DCGM exporter where that knows pods.
	// Their annotation prometheus.io/port is the port, else the container's port of the name metrics. Default:
	// app.kubernetes.io/component in (agent,dcgm-exporter).
	Agents string
	// Period is how often they are asked. Default: 15 s.
	Period time.Duration
	// Log gets what an operator would act on. Default: nothing.
	Log *slog.Logger
}

// NewGPUMetrics listens. Nothing is asked of the API server before [GPUMetrics.Start].
func NewGPUMetrics(opts GPUMetricsOptions) (*GPUMetrics, error) {
	opts.Agents, opts.Period = cmp.Or(opts.Agents, "app.kubernetes.io/component in (agent,dcgm-exporter)"), cmp.Or(opts.Period, 15*time.Second)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	config, err := config(opts.Kubeconfig)
	if err != nil {
		return nil, err
	}
	clients, err := newClients(config, nil)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(opts.Certs, "tls.crt"), filepath.Join(opts.Certs, "tls.key"))
	if err != nil {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "the certificate for custom metrics cannot be read: " + err.Error(), Hint: "a directory with tls.crt and tls.key"}
	}
	m := &GPUMetrics{opts: opts, log: opts.Log.With("component", "gpu metrics"), clients: clients, cert: pair.Leaf, use: map[podName]reading{},
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}, gate: &frontProxy{clients: clients}}
	if m.listener, err = net.Listen("tcp", opts.Listen); err != nil {
		return nil, &nexus.Error{Code: nexus.CodeUnavailable, Message: "custom metrics cannot be served: " + err.Error()}
	}
	m.server = &http.Server{Handler: m.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// Addr is where it listens.
func (m *GPUMetrics) Addr() string { return m.listener.Addr().String() }

// Owner is the Service that the aggregator sends requests for the group to, as last seen, and whether that is ours.
func (m *GPUMetrics) Owner() (service string, ours bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said, m.ours
}

// Start serves and asks agents. It returns at once.
func (m *GPUMetrics) Start() {
	m.running.Go(func() {
		if err := m.server.ServeTLS(m.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("serving custom metrics", "error", err)
		}
	})
	m.running.Go(func() {
		tick := time.NewTicker(m.opts.Period)
		defer tick.Stop()
		for {
			m.round()
			select {
			case <-tick.C:
			case <-m.ctx.Done():
				return
			}
		}
	})
}

// Stop lets go of everything. It may be called more than once.
func (m *GPUMetrics) Stop() error {
	var err error
	m.once.Do(func() {
		m.cancel()
		err = m.server.Close()
		_ = m.listener.Close() // it is closed already where it was served
		m.running.Wait()
	})
	return err
}

// round looks who owns the group, and if it is us asks every agent once.
func (m *GPUMetrics) round() {
	ctx, cancel := context.WithTimeout(m.ctx, requestPatience)
	defer cancel()
	owner, ours, err := m.owner(ctx)
	if err != nil {
		if m.ctx.Err() == nil {
			m.log.Warn("looking who serves "+metricsGroup, "error", err)
		}
		return // as it was
	}
	m.mu.Lock()
	m.ours = ours
	news := owner != m.said
	m.said = owner
	m.mu.Unlock()
	if news {
		m.log.Info("custom metrics", "owner", owner, "served", ours)
	}
	if !ours {
		return
	}
	if err := m.scrape(ctx); err != nil && m.ctx.Err() == nil {
		m.log.Warn("asking agents for the use of GPUs", "error", err)
	}
}

// owner is the Service that the aggregator sends requests for the group to, and whether that is ours: its caBundle
// has signed our certificate.
func (m *GPUMetrics) owner(ctx context.Context) (string, bool, error) {
	for _, version := range []string{"v1beta2", "v1beta1"} {
		data, err := m.clients.core.Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices", version+"."+metricsGroup).
			SetHeader("Accept", "application/json").Do(ctx).Raw()
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", false, err
		}
		var found struct {
			Spec struct {
				CABundle []byte
				Service  struct{ Namespace, Name string }
			}
		}
		if err := json.Unmarshal(data, &found); err != nil {
			return "", false, fmt.Errorf("reading APIService %s: %w", version, err)
		}
		name := found.Spec.Service.Namespace + "/" + found.Spec.Service.Name
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(found.Spec.CABundle)
		if _, err := m.cert.Verify(x509.VerifyOptions{Roots: pool}); err != nil || version != metricsVersion {
			return name, false, nil
		}
		return name, true, nil
	}
	return "nobody", false, nil
}

// maxScrape bounds what one agent may say.
const maxScrape = 8 << 20

// scrape asks all agents that run. One that does not answer keeps what it said last for a while.
func (m *GPUMetrics) scrape(ctx context.Context) error {
	var agents corev1.PodList
	if err := m.clients.core.Get().Resource(resourcePods).Param("labelSelector", m.opts.Agents).Param("resourceVersion", "0").Do(ctx).Into(&agents); err != nil {
		return err
	}
	var asks errgroup.Group
	asks.SetLimit(32)
	for i := range agents.Items {
		pod := &agents.Items[i]
		if pod.Status.PodIP == "" || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		asks.Go(func() error {
			use, err := m.ask(ctx, net.JoinHostPort(pod.Status.PodIP, portOf(pod)))
			if err != nil {
				return fmt.Errorf("agent %s/%s: %w", pod.Namespace, pod.Name, err)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			for p, milli := range use {
				m.use[p] = reading{milli, time.Now()}
			}
			return nil
		})
	}
	err := asks.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, r := range m.use {
		if time.Since(r.at) > 4*m.opts.Period {
			delete(m.use, p)
		}
	}
	return err
}

// portOf is where a pod tells its metrics.
func portOf(pod *corev1.Pod) string {
	if port := pod.Annotations["prometheus.io/port"]; port != "" {
		return port
	}
	for _, c := range pod.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == "metrics" {
				return strconv.Itoa(int(port.ContainerPort))
			}
		}
	}
	return "9090"
}

func (m *GPUMetrics) ask(ctx context.Context, address string) (map[podName]int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := m.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	return gpuUse(io.LimitReader(answer.Body, maxScrape))
}

// frontProxy knows the API server by its front-proxy certificate: it alone has asked who the user is and what he may.
type frontProxy struct {
	clients *clients
	mu      sync.Mutex
	pool    *x509.CertPool
	names   []string // none: any
	read    time.Time
}

// gateRest is how often at most what names the front proxy is read again.
const gateRest = 5 * time.Second

// admits reports whether a connection is the API server's.
func (f *frontProxy) admits(ctx context.Context, state *tls.ConnectionState) error {
	if state == nil || len(state.PeerCertificates) == 0 {
		return errors.New("there is no client certificate")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.check(state.PeerCertificates[0])
	if err == nil || time.Since(f.read) < gateRest {
		return err
	}
	if err := f.reload(ctx); err != nil {
		return err
	}
	return f.check(state.PeerCertificates[0])
}

func (f *frontProxy) check(cert *x509.Certificate) error {
	if f.pool == nil {
		return errors.New("it is not known yet who the API server's proxy is")
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: f.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return err
	}
	for _, name := range f.names {
		if name == cert.Subject.CommonName {
			return nil
		}
	}
	if len(f.names) == 0 {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", cert.Subject.CommonName, strings.Join(f.names, ", "))
}

func (f *frontProxy) reload(ctx context.Context) error {
	f.read = time.Now() // also of what cannot be read: who knocks must not have the API server asked each time
	var m corev1.ConfigMap
	err := f.clients.core.Get().Namespace("kube-system").Resource("configmaps").Name("extension-apiserver-authentication").Timeout(requestPatience).Do(ctx).Into(&m)
	if err != nil {
		return fmt.Errorf("reading who the API server's proxy is: %w", err)
	}
	f.pool = nil
	pool, names := x509.NewCertPool(), []string(nil)
	if !pool.AppendCertsFromPEM([]byte(m.Data["requestheader-client-ca-file"])) {
		return errors.New("this API server has no front proxy: nothing can be aggregated")
	}
	if err := json.Unmarshal([]byte(cmp.Or(m.Data["requestheader-allowed-names"], "[]")), &names); err != nil {
		return fmt.Errorf("reading who the API server's proxy is: %w", err) // no name means any
	}
	f.pool, f.names = pool, names
	return nil
}
