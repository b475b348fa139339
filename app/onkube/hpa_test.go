package onkube

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
)

// The real HPA controller, through the real aggregator, scales by what our metrics API says: 95 % with a target of 80 scales
// up, 20 % scales down. What a node's agent would measure is said by the test: an honest source of numbers, which is
// scraped as agents are. There is no GPU, and nothing of ours pretends one.
func TestKubeHPAScalesByGPUUse(t *testing.T) {
	plane := kubetest.Start(t)
	plane.Namespace(t, "serving")
	plane.AddNode(t, kubetest.Node{Name: "n1", CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559})

	var percent atomic.Int64
	percent.Store(95)
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, pod := range strings.Fields(plane.Kubectl("get", "pods", "--namespace=serving", "-l", "app=model", "-o", "jsonpath={.items[*].metadata.name}")) {
			fmt.Fprintf(w, "nexus_gpu_utilization_ratio{uuid=\"of-%[1]s\"} %[2]g\nnexus_pod_gpu_info{namespace=\"serving\",pod=%[1]q,gpu_uuid=\"of-%[1]s\"} 1\n", pod, float64(percent.Load())/100)
		}
	}))
	t.Cleanup(source.Close)
	host, port, err := net.SplitHostPort(source.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	custom := app.GPUMetricsOptions{Listen: "127.0.0.1:0", Certs: plane.ServingCert(t, "nexus-custom-metrics", "serving"), Period: time.Second}
	c, err := app.NewController(app.ControllerOptions{Kubeconfig: plane.Kubeconfig, Image: "none", Custom: custom})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	apply := func(text string) {
		t.Helper()
		if out, err := plane.TryKubectl(text, "apply", "--namespace=serving", "-f", "-"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: agent, labels: {app.kubernetes.io/component: agent}, annotations: {prometheus.io/port: "%s"}}
spec: {containers: [{name: agent, image: none}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: model}
spec:
  replicas: 1
  selector: {matchLabels: {app: model}}
  template:
    metadata: {labels: {app: model}}
    spec: {containers: [{name: model, image: none, resources: {limits: {nvidia.com/gpu: 1}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: model}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: model}
  minReplicas: 1
  maxReplicas: 4
  metrics: [{type: Pods, pods: {metric: {name: nexus_pod_gpu_utilization}, target: {type: AverageValue, averageValue: "80"}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
`, port))
	plane.Kubectl("wait", "--namespace=serving", "--for=condition=Ready", "--timeout=180s", "pod/agent")
	plane.Kubectl("patch", "pod", "agent", "--namespace=serving", "--subresource=status", "--type=merge", "-p", fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, host, host))

	// Before the group is ours nobody is answered for it; nobody but the API server ever is.
	plane.Aggregate("v1beta2", "custom.metrics.k8s.io", "nexus-custom-metrics", "serving", c.CustomMetrics())
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := insecure.Get("https://" + c.CustomMetrics() + "/apis/custom.metrics.k8s.io/v1beta2/namespaces/serving/pods/*/nexus_pod_gpu_utilization")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %s", answer.Status)
	}
	plane.Kubectl("wait", "--for=condition=Available", "--timeout=180s", "apiservice/v1beta2.custom.metrics.k8s.io")
	raw := "/apis/custom.metrics.k8s.io/v1beta2/namespaces/serving/pods/*/nexus_pod_gpu_utilization?labelSelector=app%3Dmodel"
	plane.Until("a value of the metric", func() error {
		out, err := plane.TryKubectl("", "get", "--raw", raw)
		if err != nil || !strings.Contains(out, `"value":"95"`) {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if out, err := plane.TryKubectl("", "get", "--raw", strings.Replace(raw, "model", "none", 1)); err != nil || !strings.Contains(out, `"items":[]`) {
		t.Errorf("for a selector that means nobody: %v, %s", err, out)
	}

	replicas := func(want string) {
		t.Helper()
		plane.Until(want+" replicas", func() error {
			if is := plane.Kubectl("get", "deployment", "model", "--namespace=serving", "-o", "jsonpath={.spec.replicas}"); is != want {
				return fmt.Errorf("there are %s: %s", is, plane.Kubectl("describe", "hpa", "model", "--namespace=serving"))
			}
			return nil
		})
	}
	replicas("4") // 95 of 80 each: 1 -> 2 -> 3 -> 4
	percent.Store(20)
	replicas("1")

	// Another owner of the group, and it is off.
	plane.Kubectl("delete", "apiservice", "v1beta2.custom.metrics.k8s.io")
	apply(`
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta2.custom.metrics.k8s.io}
spec: {group: custom.metrics.k8s.io, version: v1beta2, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {name: adapter, namespace: monitoring}}
`)
	plane.Until("somebody else's metrics", func() error {
		if owner, served := c.CustomMetricsOwner(); owner != "monitoring/adapter" || served {
			return fmt.Errorf("they are %s's, and served: %v", owner, served)
		}
		return nil
	})
}
