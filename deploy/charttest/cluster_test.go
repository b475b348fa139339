package charttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/gpu/gputest"
)

// installed are the values of the installation that is tested on a real API server.
const installed = `
gpu: {createRuntimeClass: true}
controller: {jobImage: pytorch/pytorch}
queues: [{name: prod, spec: {quota: [{gpus: 32}]}}]
resourceQuota: {enabled: true}
limitRange: {enabled: true}
devicePlugin: {enabled: true}
workload: {enabled: true, resources: {requests: {cpu: "1", memory: 1Gi}, limits: {cpu: "1", memory: 1Gi}}}
ingress: {enabled: true}
hpa: {enabled: true}
distributed: {enabled: true, worldSize: 2, masterPort: 29600, backend: gloo}
jobDefaults: {enabled: true}
`

// stage is a cluster with the chart in it: a real control plane, nodes that kwok plays, agents in the jobs' pods that the
// test plays. The programs of the chart run in the test's process, as the users that the chart makes for them.
type stage struct {
	plane    *kubetest.Plane
	agents   *kubetest.Agents
	seen     *requests
	helm     *action.Configuration
	addr     string // of the controller's metrics
	nodeAddr string // of the node agent's metrics
}

const patience = 3 * time.Minute

func until(t *testing.T, what string, done func() error) {
	t.Helper()
	begun := time.Now()
	for {
		err := done()
		if err == nil {
			return
		}
		if time.Since(begun) > patience {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(100 * time.Millisecond) // what is waited for is in other processes
	}
}

// untilReady waits until an address answers that all is well.
func untilReady(t *testing.T, address string) {
	t.Helper()
	until(t, address, func() error {
		answer, err := http.Get(address)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", answer.Status)
		}
		return nil
	})
}

// The story of the chart on a cluster, from `helm install` to an uninstall.
func TestTheChartOnACluster(t *testing.T) {
	s := &stage{plane: kubetest.Start(t)}
	manifests := filepath.Join("..", "manifests")
	// helm brings these itself.
	s.plane.Kubectl("delete", "-f", filepath.Join(manifests, "admission-policy.yaml"), "-f", filepath.Join(manifests, "crds"))
	s.plane.Namespace(t, "team")
	s.plane.Namespace(t, "nexus")
	s.plane.Kubectl("label", "namespace", "nexus", "pod-security.kubernetes.io/enforce=restricted")
	s.agents = s.plane.Agents(t, "team")
	for _, name := range []string{"n1", "n2"} {
		s.plane.AddNode(t, kubetest.Node{Name: name, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559})
	}
	s.plane.AddNode(t, kubetest.Node{Name: "n3", CPUs: 64, Memory: 512, GPUs: 2}) // nobody has labelled it
	flags := genericclioptions.NewConfigFlags(false)
	namespace := "nexus"
	flags.KubeConfig, flags.Namespace = &s.plane.Kubeconfig, &namespace
	s.helm = action.NewConfiguration()
	if err := s.helm.Init(flags, "nexus", "secrets"); err != nil {
		t.Fatal(err)
	}
	for _, act := range []struct {
		name string
		play func(*testing.T, *stage)
	}{
		{"install", install}, {"its pods are made", podsAreMade}, {"the controller runs a job by its rights", controls}, {"a node's agent tells of its GPUs", announces},
		{"upgrade and rollback leave jobs alone", upgrades}, {"it uses the rights that it has", usesItsRights}, {"monitoring", monitors}, {"uninstall", uninstalls}, {"builtin metrics scale the application", scales},
		{"upgrade from the chart before", upgradesFromBefore},
	} {
		if !t.Run(act.name, func(t *testing.T) { act.play(t, s) }) {
			return
		}
	}
}

func install(t *testing.T, s *stage) {
	do := action.NewInstall(s.helm)
	do.ReleaseName, do.Namespace, do.WaitStrategy, do.Timeout = "nexus", "nexus", kube.HookOnlyStrategy, patience
	if _, err := do.RunWithContext(t.Context(), loadChart(t), values(t, installed)); err != nil {
		t.Fatal(err)
	}
	list := names(render(t, installed))
	r, err := tryRender(t, values(t, installed))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.plane.TryKubectl(r.Manifest, "get", "-f", "-"); err != nil {
		t.Error(out)
	}
	if len(list) < 40 {
		t.Errorf("only %d objects were looked for", len(list))
	}
	// What the release does not have on, the API server takes too, strictly.
	for _, text := range []string{everything, "autoscaling: {metrics: builtin}"} {
		r, err := tryRender(t, values(t, text))
		if err != nil {
			t.Fatal(err)
		}
		var documents []string
		for _, document := range strings.Split(r.Manifest, "\n---\n") {
			if !strings.Contains(document, "monitoring.coreos.com") { // its custom resource is not here
				documents = append(documents, document)
			}
		}
		if out, err := s.plane.TryKubectl(strings.Join(documents, "\n---\n"), "apply", "--dry-run=server", "--validate=strict", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
			t.Error(out)
		}
	}
}

// The real admission of pods judges them, in a namespace that is restricted.
func podsAreMade(t *testing.T, s *stage) {
	s.plane.Kubectl("label", "node", "n1", "n2", "n3", "a=b")
	for object, want := range map[string]string{"deployment/nexus-ai-nexus-controller": "2", "deployment/nexus-ai-nexus": "1"} {
		until(t, object, func() error {
			// The workload waits for its claim, which no provisioner answers: made is what counts.
			got := s.plane.Kubectl("get", object, "-n", "nexus", "-o", "jsonpath={.status.replicas}")
			if got != want {
				return fmt.Errorf("%s of %s replicas; %s", got, want, s.plane.Kubectl("get", "events", "-n", "nexus"))
			}
			return nil
		})
	}
	until(t, "the agents", func() error {
		if got := s.plane.Kubectl("get", "daemonset/nexus-ai-nexus-agent", "-n", "nexus", "-o", "jsonpath={.status.numberReady}"); got != "3" {
			return fmt.Errorf("%s of 3 are ready; %s", got, s.plane.Kubectl("get", "events", "-n", "nexus"))
		}
		return nil
	})
}

// as is a kubeconfig by which requests go through a proxy that notes them, as the service account of this name.
func (s *stage) as(t *testing.T, account string) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.plane.User("system:serviceaccount:nexus:"+account, "system:serviceaccounts", "system:serviceaccounts:nexus"))
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	s.seen = &requests{verbs: map[string]bool{}}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ModifyResponse: func(r *http.Response) error {
			s.seen.note(r)
			return nil
		}}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: nexus}}]\ncurrent-context: x\n", server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// requests are what somebody asked the API server for: "group/resource verb".
type requests struct {
	mu     sync.Mutex
	verbs  map[string]bool
	denied []string
}

func (r *requests) note(answer *http.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what := asked(answer.Request)
	r.verbs[what] = true
	if answer.StatusCode == http.StatusForbidden {
		r.denied = append(r.denied, what)
	}
}

// asked reads a request as RBAC does.
func asked(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	if parts[0] == "apis" {
		group, parts = parts[1], parts[1:]
	}
	parts = parts[2:]
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	resource := parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	verb := map[string]string{"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	switch {
	case r.Method == "GET" && r.URL.Query().Get("watch") != "":
		verb = "watch"
	case r.Method == "GET" && len(parts) > 1:
		verb = "get"
	case r.Method == "GET":
		verb = "list"
	case r.Method == "DELETE" && len(parts) == 1:
		verb = "deletecollection"
	}
	return group + "/" + resource + " " + verb
}

// jobDefaults is what the release's ConfigMap gives its controller; nothing where there is none.
func (s *stage) jobDefaults() []byte {
	return []byte(s.plane.Kubectl("get", "configmap", "nexus-ai-nexus-job-defaults", "-n", "nexus", "--ignore-not-found", "-o", `jsonpath={.data.defaults\.yaml}`))
}

// policed are the namespaces that the release's controller is told of.
func (s *stage) policed() []string {
	for arg := range strings.FieldsSeq(s.plane.Kubectl("get", "deployment", "nexus-ai-nexus-controller", "-n", "nexus", "--ignore-not-found", "-o", "jsonpath={.spec.template.spec.containers[0].args[*]}")) {
		if list, is := strings.CutPrefix(arg, "--policed="); is {
			return strings.Split(list, ",")
		}
	}
	return nil
}

// startController runs what the chart's Deployment runs, until t ends.
func (s *stage) startController(t *testing.T, kubeconfig string) *app.Controller {
	t.Helper()
	c, err := app.NewController(app.ControllerOptions{Kubeconfig: kubeconfig, Image: "pytorch/pytorch", LauncherImage: "ai-nexus/nexus", Defaults: s.jobDefaults(), Policed: s.policed(), Listen: "127.0.0.1:0", Metrics: "127.0.0.1:0", Backoff: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (s *stage) job(t *testing.T, name, spec string) {
	t.Helper()
	document := "apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: " + name + ", namespace: team}\nspec: " + spec
	if out, err := s.plane.TryKubectl(document, "apply", "-f", "-"); err != nil {
		t.Fatal(out)
	}
}

func (s *stage) phase(t *testing.T, name, want string) {
	t.Helper()
	until(t, name, func() error {
		if got := s.plane.Kubectl("get", "nexusjob", name, "-n", "team", "-o", "jsonpath={.status.phase}"); got != want {
			return fmt.Errorf("it is %s and not %s: %s", got, want, s.plane.Kubectl("get", "nexusjob", name, "-n", "team", "-o", "jsonpath={.status.message}"))
		}
		return nil
	})
}

func controls(t *testing.T, s *stage) {
	c := s.startController(t, s.as(t, "nexus-ai-nexus-controller"))
	probes, _ := c.Addrs()
	untilReady(t, "http://"+probes+"/ready")
	s.agents.Play("gpt2", kubetest.Script{Until: "trained"})
	s.job(t, "gpt2", "{nodes: 2, workers: 8, queue: prod, resources: {gpus: 8, gpu_memory: 40GiB}, run: python train.py}")
	s.phase(t, "gpt2", "Running")
	s.agents.Open("trained")
	s.phase(t, "gpt2", "Succeeded")
	// A job that says nothing gets the chart's defaults. Its spec stays as it was written; its status and its pods tell.
	s.job(t, "small", "{run: python train.py}")
	s.phase(t, "small", "Running")
	job := func(path string) string {
		return s.plane.Kubectl("get", "nexusjob", "small", "-n", "team", "-o", "jsonpath="+path)
	}
	told := "of the cluster's defaults it has resources.gpus 1, nodes 2 and workers 1, NEXUS_BACKEND gloo, MASTER_PORT 29600, the runtime class nvidia"
	for path, want := range map[string]string{
		"{.spec.resources}{.spec.nodes}{.spec.workers}": "", "{.status.gpus}": "2", `{.status.conditions[?(@.type=="Defaulted")].message}`: told,
	} {
		if got := job(path); got != want {
			t.Errorf("%s of a job without a word about GPUs is %q and not %q", path, got, want)
		}
	}
	until(t, "the Event", func() error {
		if got := s.plane.Kubectl("get", "events", "-n", "team", "--field-selector=reason=Admitted,involvedObject.name=small", "-o", "jsonpath={.items[*].message}"); !strings.Contains(got, told) {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
	pods := s.plane.Kubectl("get", "pods", "-n", "team", "-l", "ainexus.io/job=small", "-o", `jsonpath={range .items[*]}{.spec.containers[0].resources.limits.nvidia\.com/gpu} {.spec.runtimeClassName} {.spec.containers[0].env[?(@.name=="NEXUS_BACKEND")].value} {.spec.containers[0].env[?(@.name=="MASTER_PORT")].value};{end}`)
	if pods != "1 nvidia gloo 29600;1 nvidia gloo 29600;" {
		t.Errorf("its pods have %q", pods)
	}
	s.plane.Kubectl("annotate", "nexusjob", "small", "-n", "team", "ainexus.io/stop=cancel")
	s.phase(t, "small", "Cancelled")
	if len(s.seen.denied) > 0 {
		t.Errorf("it was denied %q", s.seen.denied)
	}
}

// announces runs what the DaemonSet runs on n3, as the pod there: with a token that is bound to it.
func announces(t *testing.T, s *stage) {
	pod := s.plane.Kubectl("get", "pods", "-n", "nexus", "-l", "app.kubernetes.io/component=agent", "--field-selector=spec.nodeName=n3", "-o", "jsonpath={.items[0].metadata.name}")
	token := strings.TrimSpace(s.plane.Kubectl("create", "token", "nexus-ai-nexus-agent", "-n", "nexus", "--bound-object-kind=Pod", "--bound-object-name="+pod))
	admin, err := clientcmd.LoadFromFile(s.plane.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range admin.AuthInfos {
		user.ClientCertificate, user.ClientKey, user.Token = "", "", token
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*admin, kubeconfig); err != nil {
		t.Fatal(err)
	}
	lib := gputest.Build(t)
	gputest.Write(t, lib, gputest.Uniform(2, "NVIDIA L4", 23034))
	a, err := app.NewNodeAgent(app.NodeAgentOptions{Node: "n3", Kubeconfig: kubeconfig, NVMLLibrary: lib, Period: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	defer a.Stop()
	said := func() string {
		return s.plane.Kubectl("get", "node", "n3", "-o", `jsonpath={.metadata.annotations.ainexus\.io/gpus}`)
	}
	until(t, "the annotation", func() error {
		if got := said(); !strings.Contains(got, `"model":"NVIDIA L4","mib":23034,"healthy":true`) {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
	fleet := gputest.Uniform(2, "NVIDIA L4", 23034)
	fleet.GPUs[1].State = gputest.Lost
	gputest.Write(t, lib, fleet)
	until(t, "a GPU off the bus", func() error {
		if got := said(); !strings.Contains(got, `"healthy":false`) {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
	// That is all that it may write.
	for _, c := range []struct{ what, want string }{
		{"annotate node n1 ainexus.io/gpus=[]", "the node that it runs on only"},
		{"annotate node n3 other=1", "the annotation ainexus.io/gpus only"},
		{"label node n3 pool=mine", "the annotation ainexus.io/gpus only"},
		{"taint node n3 a=b:NoSchedule", "the annotation ainexus.io/gpus only"},
		{"delete node n3", "forbidden"},
		{"get pods -A", "forbidden"},
	} {
		out, err := s.plane.TryKubectl("", append([]string{"--kubeconfig=" + kubeconfig}, strings.Fields(c.what)...)...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("kubectl %s as an agent: %v, %s", c.what, err, out)
		}
	}
	// The planner finds the model that only the agent knows.
	s.startController(t, s.as(t, "nexus-ai-nexus-controller"))
	s.job(t, "on-l4", "{nodes: 1, resources: {gpus: 1, gpu_model: [L4], gpu_memory: 20GiB}, run: python train.py}")
	s.phase(t, "on-l4", "Running")
	if got := s.plane.Kubectl("get", "nexusjob", "on-l4", "-n", "team", "-o", "jsonpath={.status.seats[0].node}"); got != "n3" {
		t.Errorf("it is on %s", got)
	}
}

// what is left alone: the objects of a running job, by identity.
func (s *stage) identities() string {
	return s.plane.Kubectl("get", "jobs,pods,services,nexusjobs", "-n", "team", "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.status.phase} {.status.attempt}{"\n"}{end}`)
}

func upgrades(t *testing.T, s *stage) {
	before := s.identities()
	if !strings.Contains(before, "Pod/on-l4-1-0") {
		t.Fatalf("nothing runs:\n%s", before)
	}
	next := loadChart(t)
	next.Metadata.Version, next.Metadata.AppVersion = "0.2.0", "0.2.0"
	do := action.NewUpgrade(s.helm)
	do.Namespace, do.WaitStrategy, do.Timeout = "nexus", kube.HookOnlyStrategy, patience
	changed := values(t, installed)
	changed["agent"] = map[string]any{"period": "10s"}
	changed["queues"] = []any{map[string]any{"name": "prod"}, map[string]any{"name": "more"}}
	if _, err := do.RunWithContext(t.Context(), "nexus", next, changed); err != nil {
		t.Fatal(err)
	}
	image := func() string {
		return s.plane.Kubectl("get", "deployment", "nexus-ai-nexus-controller", "-n", "nexus", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	}
	if got := image(); got != "ai-nexus/nexus:0.2.0" {
		t.Errorf("after the upgrade it runs %s", got)
	}
	s.plane.Kubectl("get", "nexusqueue", "more")
	s.settles(t, s.as(t, "nexus-ai-nexus-controller"), "an upgrade", before)
	back := action.NewRollback(s.helm)
	back.WaitStrategy, back.Timeout = kube.HookOnlyStrategy, patience
	if err := back.Run("nexus"); err != nil {
		t.Fatal(err)
	}
	if got := image(); got != "ai-nexus/nexus:0.1.0" {
		t.Errorf("after the rollback it runs %s", got)
	}
	s.settles(t, s.as(t, "nexus-ai-nexus-controller"), "a rollback", before)
}

// settles starts a controller as the user of a kubeconfig, as the Deployment does after each of these, has it decide something, and looks for what
// became of the others meanwhile.
func (s *stage) settles(t *testing.T, kubeconfig, after, before string) {
	t.Helper()
	c := s.startController(t, kubeconfig)
	defer c.Stop()
	s.job(t, "probe", "{nodes: 1, resources: {gpus: 1}, run: python probe.py}")
	s.phase(t, "probe", "Running")
	s.plane.Kubectl("delete", "nexusjob", "probe", "-n", "team")
	until(t, "the probe's end", func() error {
		if now := s.identities(); strings.Contains(now, "probe") {
			return fmt.Errorf("there is still\n%s", now)
		}
		return nil
	})
	if now := s.identities(); now != before {
		t.Errorf("%s changed\n%s\ninto\n%s", after, before, now)
	}
}

// usesItsRights compares what the chart grants the controller with what it asked for in the stories so far.
func usesItsRights(t *testing.T, s *stage) {
	kubeconfig := s.as(t, "nexus-ai-nexus-controller")
	s.agents.Play("all", kubetest.Script{Until: "over"})
	c := s.startController(t, kubeconfig)
	defer c.Stop()
	s.job(t, "all", "{nodes: 2, resources: {gpus: 1}, run: python train.py}")
	s.phase(t, "all", "Running")
	// A plain Job that names a queue: its start is patched into it.
	foreign := `{apiVersion: batch/v1, kind: Job, metadata: {name: plain, namespace: team, labels: {ainexus.io/queue: prod}}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}`
	if out, err := s.plane.TryKubectl(foreign, "apply", "-f", "-"); err != nil {
		t.Fatal(out)
	}
	until(t, "the plain Job", func() error {
		if got := s.plane.Kubectl("get", "job", "plain", "-n", "team", "-o", "jsonpath={.spec.suspend}"); got != "false" {
			return fmt.Errorf("it is suspended: %s", got)
		}
		return nil
	})
	s.plane.Kubectl("annotate", "nexusjob", "all", "-n", "team", "ainexus.io/stop=cancel")
	s.phase(t, "all", "Cancelled")
	// In the release's namespace everything is denied, and the pods of a job are let to one another.
	inside := "apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: inside, namespace: nexus}\nspec: {nodes: 2, resources: {gpus: 1}, run: python train.py}"
	if out, err := s.plane.TryKubectl(inside, "apply", "-f", "-"); err != nil {
		t.Fatal(out)
	}
	s.plane.Kubectl("wait", "nexusjob/inside", "-n", "nexus", "--for=jsonpath={.status.phase}=Running", "--timeout=180s")
	opened := s.plane.Kubectl("get", "networkpolicy", "inside-workers", "-n", "nexus", "-o", `jsonpath={.spec.podSelector.matchLabels} {.spec.ingress[*].from[*].podSelector.matchLabels} {.spec.ingress[*].ports[*].port} {.spec.egress[*].ports[2].endPort}`)
	own := `{"ainexus.io/job-uid":"` + s.plane.Kubectl("get", "nexusjob", "inside", "-n", "nexus", "-o", "jsonpath={.metadata.uid}") + `"}`
	if want := own + " " + own + " 29400 29600 29501 30524"; opened != want {
		t.Errorf("its pods have the way %q and not %q", opened, want)
	}
	if list := s.plane.Kubectl("get", "networkpolicies", "-n", "team", "-o", "name"); list != "" {
		t.Errorf("where nothing is denied there is %s", list)
	}
	s.plane.Kubectl("delete", "nexusjob", "inside", "-n", "nexus")
	granted := map[string]bool{}
	for name, o := range names(render(t, installed)) {
		if !slices.Contains([]string{"ClusterRole/nexus-ai-nexus-controller", "ClusterRole/nexus-ai-nexus-jobs", "Role/nexus-ai-nexus-leader", "Role/nexus-ai-nexus-job-network"}, name) {
			continue
		}
		for _, rule := range o.Object["rules"].([]any) {
			r := rule.(map[string]any)
			for _, resource := range r["resources"].([]any) {
				for _, verb := range r["verbs"].([]any) {
					granted[fmt.Sprintf("%s/%s %s", r["apiGroups"].([]any)[0], resource, verb)] = true
				}
			}
		}
	}
	until(t, "the last Event", func() error {
		s.seen.mu.Lock()
		defer s.seen.mu.Unlock()
		if !s.seen.verbs["/events create"] {
			return fmt.Errorf("none was posted")
		}
		return nil
	})
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	for what := range s.seen.verbs {
		if !granted[what] {
			t.Errorf("it asks for %s, which is not granted", what)
		}
	}
	// Needed after a conflict, where an object is there already, by who leads first, and to begin a watch on servers that do
	// not stream what there is. Shares of GPUs, groups of pods and arrays are tried in app/onkube.
	rare := []string{"resource.k8s.io/resourceclaims list", "resource.k8s.io/resourceclaimtemplates get", "resource.k8s.io/resourceclaimtemplates create", "resource.k8s.io/resourceclaimtemplates delete",
		"scheduling.k8s.io/podgroups get", "scheduling.k8s.io/podgroups create", "scheduling.k8s.io/podgroups delete",
		"/nodes list", "/pods list", "ainexus.io/nexusqueues list", "ainexus.io/nexusjobs list", "batch/jobs list", "ainexus.io/nexusjobs get", "ainexus.io/nexusjobs create", "/services get", "networking.k8s.io/networkpolicies get", "coordination.k8s.io/leases create", "batch/jobs/status patch"}
	for what := range granted {
		if !s.seen.verbs[what] && !slices.Contains(rare, what) {
			t.Errorf("it is granted %s, which it does not use", what)
		}
	}
	t.Logf("it asked for %d kinds of things and was denied %d", len(s.seen.verbs), len(s.seen.denied))
}

func uninstalls(t *testing.T, s *stage) {
	before := s.identities()
	do := action.NewUninstall(s.helm)
	do.WaitStrategy, do.Timeout = kube.HookOnlyStrategy, patience
	if _, err := do.Run("nexus"); err != nil {
		t.Fatal(err)
	}
	s.plane.Kubectl("get", "crd", "nexusjobs.ainexus.io")
	s.plane.Kubectl("get", "pvc", "nexus-ai-nexus-data", "-n", "nexus")
	if out, err := s.plane.TryKubectl("", "get", "deployment", "nexus-ai-nexus-controller", "-n", "nexus"); err == nil {
		t.Errorf("the controller is still there: %s", out)
	}
	if now := s.identities(); now != before {
		t.Errorf("it changed\n%s\ninto\n%s", before, now)
	}
}
