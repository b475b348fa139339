package charttest

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/gpu/gputest"
)

// program finds a program of Debian's, or skips; in CI it has to be there.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no %s: sh scripts/setup.sh", name)
		}
		t.Skipf("NOT RUN: there is no %s; sh scripts/setup.sh installs it", name)
	}
	return path
}

// file is an entry of a ConfigMap among the monitoring manifests.
func file(t *testing.T, manifest, name, key string) string {
	t.Helper()
	for _, o := range objects(t, []byte(read(t, "deploy", "manifests", "monitoring", manifest))) {
		if nameOf(o) == "ConfigMap/"+name {
			data, _ := o.Object["data"].(map[string]any)
			if text, ok := data[key].(string); ok {
				return text
			}
		}
	}
	t.Fatalf("%s has no %s of %s", manifest, key, name)
	return ""
}

// query is one of the dashboard's.
type query struct{ panel, expr string }

func dashboard(t *testing.T) []query {
	t.Helper()
	var board struct {
		Panels []struct {
			Title      string
			Datasource struct{ UID string }
			Targets    []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(file(t, "grafana.yaml", "grafana-dashboards", "ai-nexus.json")), &board); err != nil {
		t.Fatal(err)
	}
	var list []query
	for _, p := range board.Panels {
		if p.Datasource.UID != "prometheus" || len(p.Targets) == 0 {
			t.Errorf("panel %q asks nobody", p.Title)
		}
		for _, target := range p.Targets {
			list = append(list, query{p.Title, strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")})
		}
	}
	return list
}

// The monitoring manifests are accepted, and Prometheus with the configuration that is in them finds the chart's pods by
// their annotations, scrapes a real controller and a real agent, and answers every query of the dashboard. Only the
// addresses differ: kwok's pods have none of their own.
func monitors(t *testing.T, s *stage) {
	prometheus := program(t, "prometheus")
	for _, name := range []string{"prometheus.yaml", "dcgm-exporter.yaml", "grafana.yaml"} {
		s.plane.Kubectl("apply", "--validate=strict", "-f", filepath.Join("..", "manifests", "monitoring", name))
		for _, o := range objects(t, []byte(read(t, "deploy", "manifests", "monitoring", name))) {
			decode(t, o)
		}
	}
	for service, port := range map[string]string{"prometheus": "9090", "grafana": "3000", "dcgm-exporter": "9400"} {
		if got := s.plane.Kubectl("get", "service", service, "-n", "monitoring", "-o", "jsonpath={.spec.ports[0].port}"); got != port {
			t.Errorf("service %s has port %s", service, got)
		}
	}
	if text := read(t, "deploy", "manifests", "monitoring", "grafana.yaml"); !strings.Contains(text, "secretKeyRef") || strings.Contains(text, "stringData") {
		t.Error("Grafana has a password in its manifest")
	}

	c := s.startController(t, s.as(t, "nexus-ai-nexus-controller"))
	_, controller := c.Addrs()
	lib := gputest.Build(t)
	gputest.Write(t, lib, gputest.Uniform(2, "NVIDIA L4", 23034))
	a, err := app.NewNodeAgent(app.NodeAgentOptions{Metrics: "127.0.0.1:0", NVMLLibrary: lib, Period: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	defer a.Stop()
	_, agent := a.Addrs()

	for i, name := range strings.Fields(s.plane.Kubectl("get", "pods", "-n", "nexus", "-l", "app.kubernetes.io/component in (controller,agent)", "-o", "jsonpath={.items[*].metadata.name}")) {
		ip := fmt.Sprintf("10.9.0.%d", i+1)
		s.plane.Kubectl("patch", "pod", name, "-n", "nexus", "--subresource=status", "--type=merge", "-p", fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, ip, ip))
	}
	address := startPrometheus(t, s, prometheus, map[string]string{"controller": controller, "agent": agent})
	found := map[string]bool{}
	until(t, "targets", func() error {
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					DiscoveredLabels, Labels map[string]string
					Health                   string
				}
			}
		}
		if err := ask(address, "/api/v1/targets", nil, &answer); err != nil {
			return err
		}
		clear(found)
		for _, target := range answer.Data.ActiveTargets {
			if target.Health == "up" {
				found[target.Labels["component"]+" on "+target.Labels["node"]] = true
			}
		}
		if len(found) < 4 { // controllers, and an agent on each of three nodes
			return fmt.Errorf("it scrapes %v of %d targets", found, len(answer.Data.ActiveTargets))
		}
		return nil
	})
	// What is counted has to change between scrapes.
	s.agents.Play("measured", kubetest.Script{Until: "measured"})
	s.job(t, "measured", "{queue: prod, nodes: 1, resources: {gpus: 1}, run: python train.py}")
	s.phase(t, "measured", "Running")
	s.agents.Open("measured")
	s.phase(t, "measured", "Succeeded")
	for i := range 2 { // a series' first value is no increase
		name := fmt.Sprintf("again-%d", i)
		s.agents.Play(name, kubetest.Script{Until: name})
		until(t, "a scrape of what was counted", func() error {
			return answers(address, query{"", fmt.Sprintf(`nexus_attempts_ended_total{cause="ok"} >= %d`, i+1)})
		})
		s.job(t, name, "{queue: prod, nodes: 1, resources: {gpus: 1}, run: python train.py}")
		s.phase(t, name, "Running")
		s.agents.Open(name)
		s.phase(t, name, "Succeeded")
	}
	queries := dashboard(t)
	if len(queries) < 10 {
		t.Errorf("the dashboard has %d queries only", len(queries))
	}
	for _, q := range queries {
		until(t, fmt.Sprintf("panel %q, %s", q.panel, q.expr), func() error { return answers(address, q) })
	}
}

// startPrometheus starts it with the configuration of the manifests, told how to reach this API server, where the
// programs that pods stand for listen, and to scrape each second.
func startPrometheus(t *testing.T, s *stage, program string, at map[string]string) string {
	t.Helper()
	config := map[string]any{}
	if err := yaml.Unmarshal([]byte(file(t, "prometheus.yaml", "prometheus", "prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	config["global"] = map[string]any{"scrape_interval": "1s"}
	scrape := config["scrape_configs"].([]any)[0].(map[string]any)
	if got := fmt.Sprint(scrape["kubernetes_sd_configs"]); got != "[map[role:pod]]" {
		t.Errorf("pods are discovered by %s", got)
	}
	delete(scrape, "kubernetes_sd_configs")
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.json")
	s.discover(t, targets)
	scrape["file_sd_configs"] = []any{map[string]any{"files": []any{targets}}}
	rules := scrape["relabel_configs"].([]any)
	for component, address := range at {
		rules = append(rules, map[string]any{"source_labels": []any{"component", "__address__"}, "regex": component + ";10\\.9\\.0\\.[0-9]+:9090", "target_label": "__address__", "replacement": address})
	}
	scrape["relabel_configs"] = rules
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(program, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	p.Stdout, p.Stderr = log, log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended already
		_ = p.Wait()
		if t.Failed() {
			if said, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("Prometheus said:\n%s", said)
			}
		}
	})
	untilReady(t, "http://"+address+"/-/ready")
	return address
}

// discover writes the targets that Prometheus' discovery of pods makes: one for each port that a pod declares, with what is
// known of it. Debian builds Prometheus without that part, so the test plays it, with the rights of Prometheus' account.
func (s *stage) discover(t *testing.T, path string) {
	t.Helper()
	user := s.plane.User("system:serviceaccount:monitoring:prometheus", "system:serviceaccounts")
	text, err := s.plane.TryKubectl("", "--kubeconfig="+user, "get", "pods", "-A", "-o", "json")
	if err != nil {
		t.Fatal(text)
	}
	var pods corev1.PodList
	if err := json.Unmarshal([]byte(text), &pods); err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`[^a-zA-Z0-9_]`)
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, pod := range pods.Items {
		if pod.Status.PodIP == "" {
			continue
		}
		labels := map[string]string{"__meta_kubernetes_namespace": pod.Namespace, "__meta_kubernetes_pod_name": pod.Name, "__meta_kubernetes_pod_ip": pod.Status.PodIP,
			"__meta_kubernetes_pod_node_name": pod.Spec.NodeName, "__meta_kubernetes_pod_phase": string(pod.Status.Phase)}
		for key, value := range pod.Labels {
			labels["__meta_kubernetes_pod_label_"+plain.ReplaceAllString(key, "_")] = value
		}
		for key, value := range pod.Annotations {
			labels["__meta_kubernetes_pod_annotation_"+plain.ReplaceAllString(key, "_")] = value
		}
		g := group{Labels: labels}
		for _, c := range pod.Spec.Containers {
			for _, port := range c.Ports {
				g.Targets = append(g.Targets, fmt.Sprintf("%s:%d", pod.Status.PodIP, port.ContainerPort))
			}
		}
		groups = append(groups, g)
	}
	if text, err := json.Marshal(groups); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func ask(address, path string, parameters url.Values, into any) error {
	answer, err := http.Get("http://" + address + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

// answers wants a query to give a number.
func answers(address string, q query) error {
	var answer struct {
		Error string
		Data  struct{ Result []struct{ Value [2]any } }
	}
	if err := ask(address, "/api/v1/query", url.Values{"query": {q.expr}}, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%s", answer.Error)
	}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			return nil
		}
	}
	return fmt.Errorf("it has %d series, and no number", len(answer.Data.Result))
}
