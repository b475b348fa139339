package charttest

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"

	"ainexus.io/app"
)

// scaled are the values of an installation whose application is scaled by what the controller says of GPUs.
const scaled = `
gpu: {createRuntimeClass: true}
autoscaling: {metrics: builtin}
agent: {nodeSelector: {kubernetes.io/hostname: n1}}
workload: {enabled: true, resources: {requests: {cpu: "1", memory: 1Gi}, limits: {cpu: "1", memory: 1Gi}}}
persistence: {enabled: false}
hpa: {enabled: true, maxReplicas: 4}
`

// scales installs the chart with builtin metrics: its APIService, certificates and rights have the real HPA controller learn
// from the controller how busy the GPUs of the application's pods are: 95 % scales up, 20 % down. There is no network of
// pods here: the test lets the Service and the agent's pod stand for addresses on loopback, says what an agent would
// measure, and plays metrics-server, without which the HPA scales nothing down.
func scales(t *testing.T, s *stage) {
	do := action.NewInstall(s.helm)
	do.ReleaseName, do.Namespace, do.WaitStrategy, do.Timeout = "nexus", "nexus", kube.HookOnlyStrategy, patience
	if _, err := do.RunWithContext(t.Context(), loadChart(t), values(t, scaled)); err != nil {
		t.Fatal(err)
	}
	var percent atomic.Int64
	percent.Store(95)
	pods := func() []string {
		return strings.Fields(s.plane.Kubectl("get", "pods", "-n", "nexus", "-l", "app.kubernetes.io/component=workload", "-o", "jsonpath={.items[*].metadata.name}"))
	}
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, pod := range pods() {
			fmt.Fprintf(w, "nexus_gpu_utilization_ratio{uuid=\"of-%[1]s\"} %[2]g\nnexus_pod_gpu_info{namespace=\"nexus\",pod=%[1]q,gpu_uuid=\"of-%[1]s\"} 1\n", pod, float64(percent.Load())/100)
		}
	}))
	t.Cleanup(agent.Close)
	s.standsFor(t, "app.kubernetes.io/component=agent", agent.Listener.Addr().String())
	s.measures(t, pods)

	kubeconfig := s.as(t, "nexus-ai-nexus-controller")
	c, err := app.NewController(app.ControllerOptions{Kubeconfig: kubeconfig, Image: "none",
		Custom: app.GPUMetricsOptions{Listen: "127.0.0.1:0", Certs: s.certs(t), Period: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	defer c.Stop()
	_, port, err := net.SplitHostPort(c.CustomMetrics())
	if err != nil {
		t.Fatal(err)
	}
	s.plane.Kubectl("patch", "service", "nexus-ai-nexus-custom-metrics", "-n", "nexus", "--type=merge", "-p",
		fmt.Sprintf(`{"spec":{"type":"ExternalName","externalName":"localhost","clusterIP":null,"clusterIPs":null,"ports":[{"name":"https","port":%s}]}}`, port))
	s.plane.Kubectl("patch", "apiservice", "v1beta2.custom.metrics.k8s.io", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"service":{"port":%s}}}`, port))
	s.plane.Kubectl("patch", "hpa", "nexus-ai-nexus", "-n", "nexus", "--type=merge", "-p", `{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}}`)
	s.plane.Kubectl("wait", "--for=condition=Available", "--timeout=180s", "apiservice/v1beta2.custom.metrics.k8s.io")

	replicas := func(want string) {
		t.Helper()
		until(t, want+" replicas", func() error {
			if is := s.plane.Kubectl("get", "deployment", "nexus-ai-nexus", "-n", "nexus", "-o", "jsonpath={.spec.replicas}"); is != want {
				return fmt.Errorf("there are %s: %s", is, s.plane.Kubectl("describe", "hpa", "nexus-ai-nexus", "-n", "nexus"))
			}
			return nil
		})
	}
	replicas("4")
	percent.Store(20)
	replicas("1")
	if len(s.seen.denied) > 0 {
		t.Errorf("the controller was denied %q", s.seen.denied)
	}
	away := action.NewUninstall(s.helm)
	away.WaitStrategy, away.Timeout = kube.HookOnlyStrategy, patience
	if _, err := away.Run("nexus"); err != nil {
		t.Fatal(err)
	}
	if out, err := s.plane.TryKubectl("", "get", "apiservice", "v1beta2.custom.metrics.k8s.io"); err == nil {
		t.Errorf("after the uninstall there is %s", out)
	}
	s.plane.Kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io") // nobody answers for it any more
}

// certs is the chart's Secret as the controller's pod has it mounted.
func (s *stage) certs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key"} {
		text, err := base64.StdEncoding.DecodeString(s.plane.Kubectl("get", "secret", "nexus-ai-nexus-custom-metrics", "-n", "nexus", "-o", "jsonpath={.data."+strings.ReplaceAll(name, ".", `\.`)+"}"))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// standsFor lets the one pod with a label have an address on loopback.
func (s *stage) standsFor(t *testing.T, label, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	pod := ""
	until(t, "a pod "+label, func() error {
		list := strings.Fields(s.plane.Kubectl("get", "pods", "-n", "nexus", "-l", label, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"))
		if len(list) != 1 {
			return fmt.Errorf("there are %q", list)
		}
		pod = list[0]
		return nil
	})
	s.plane.Kubectl("annotate", "pod", pod, "-n", "nexus", "--overwrite", "prometheus.io/port="+port)
	s.plane.Kubectl("patch", "pod", pod, "-n", "nexus", "--subresource=status", "--type=merge", "-p", fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, host, host))
}

// measures plays metrics-server: the pods use a tenth of what they ask for.
func (s *stage) measures(t *testing.T, pods func() []string) {
	t.Helper()
	certs := s.plane.ServingCert(t, "metrics-server", "kube-system")
	pair, err := tls.LoadX509KeyPair(filepath.Join(certs, "tls.crt"), filepath.Join(certs, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1",
			"resources": []any{map[string]any{"name": "pods", "kind": "PodMetrics", "namespaced": true, "verbs": []string{"get", "list"}}}}
		if strings.HasSuffix(r.URL.Path, "/pods") {
			items := []any{}
			for _, pod := range pods() {
				items = append(items, map[string]any{"metadata": map[string]string{"name": pod, "namespace": "nexus"}, "timestamp": time.Now().UTC().Format(time.RFC3339), "window": "0s",
					"containers": []any{map[string]any{"name": "workload", "usage": map[string]string{"cpu": "100m", "memory": "100Mi"}}}})
			}
			answer = map[string]any{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": map[string]string{}, "items": items}
		}
		_ = json.NewEncoder(w).Encode(answer) // who asked is told, or gone
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.plane.Aggregate("v1beta1", "metrics.k8s.io", "metrics-server", "kube-system", server.Listener.Addr().String())
}
