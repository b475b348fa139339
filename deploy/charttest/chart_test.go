package charttest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// everything switches on all that does not exclude something else.
const everything = `
namespace: {create: true}
controller: {replicas: 2, leaderElection: true, jobImage: pytorch/pytorch, nodes: pool=gpu, ownerReferences: true, extraArgs: [--x], priorityClassName: system-cluster-critical}
gpu: {count: 2, createRuntimeClass: true}
distributed: {enabled: true, worldSize: 2, masterPort: 29600}
jobDefaults: {enabled: true}
queues: [{name: prod, spec: {quota: [{gpus: 16}]}}]
resourceQuota: {enabled: true}
limitRange: {enabled: true, max: {cpu: "32"}}
devicePlugin: {enabled: true, nodeSelector: {gpu: "yes"}}
serviceMonitor: {enabled: true}
autoscaling: {metrics: builtin}
workload: {enabled: true, env: {EXTRA: "1"}}
ingress: {enabled: true, annotations: {a: b}}
hpa: {enabled: true}
imagePullSecrets: [{name: pull}]
serviceAccount: {annotations: {a: b}}
`

func TestLint(t *testing.T) {
	for _, text := range []string{"{}", everything, read(t, "deploy/helm/ai-nexus/values-seed.yaml")} {
		for _, m := range lint.RunAll(chartDir, values(t, text), "nexus").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s", m)
			}
		}
	}
}

// A switch brings these and nothing else that the default does not have.
func TestSwitches(t *testing.T) {
	plain := names(render(t, "{}"))
	for _, name := range []string{"Deployment/nexus-ai-nexus-controller", "DaemonSet/nexus-ai-nexus-agent", "NetworkPolicy/nexus-ai-nexus-deny", "PriorityClass/nexus-ai-nexus-critical",
		"ClusterRole/nexus-ai-nexus-controller", "ClusterRole/nexus-ai-nexus-jobs", "Role/nexus-ai-nexus-leader", "ServiceAccount/nexus-ai-nexus-agent",
		"ValidatingAdmissionPolicy/nexusjobs.ainexus.io", "ValidatingAdmissionPolicy/nexus-ai-nexus-agent", "Service/nexus-ai-nexus-agent"} {
		if plain[name] == nil {
			t.Errorf("by default there is no %s", name)
		}
	}
	const n = "nexus-ai-nexus"
	workload := []string{"ConfigMap/" + n, "Deployment/" + n, "NetworkPolicy/" + n + "-workload", "PersistentVolumeClaim/" + n + "-data", "PodDisruptionBudget/" + n + "-workload", "Service/" + n, "ServiceAccount/" + n + "-workload"}
	with := func(more ...string) []string { return append(slices.Clone(workload), more...) }
	for _, c := range []struct {
		values       string
		comes, leave []string
	}{
		{"workload: {enabled: true}", workload, nil},
		{"{workload: {enabled: true}, persistence: {enabled: false}}", slices.DeleteFunc(with(), func(s string) bool { return strings.HasPrefix(s, "Persistent") }), nil},
		{"{workload: {enabled: true}, persistence: {existingClaim: mine}}", slices.DeleteFunc(with(), func(s string) bool { return strings.HasPrefix(s, "Persistent") }), nil},
		{"{workload: {enabled: true}, distributed: {enabled: true}}", with("Service/" + n + "-master"), nil},
		{"{workload: {enabled: true}, ingress: {enabled: true}}", with("Ingress/" + n), nil},
		{"{workload: {enabled: true}, hpa: {enabled: true}}", with("HorizontalPodAutoscaler/" + n), nil},
		{"{workload: {enabled: true}, hpa: {enabled: true}, autoscaling: {metrics: adapter}}", with("HorizontalPodAutoscaler/"+n, "ClusterRole/"+n+"-gpu-metrics", "ClusterRoleBinding/"+n+"-gpu-metrics"), nil},
		{"{workload: {enabled: true}, hpa: {enabled: true}, autoscaling: {metrics: keda}}", with("ScaledObject/" + n), nil},
		{"ingress: {enabled: true}", nil, nil}, // there is nothing to reach
		{"hpa: {enabled: true}", nil, nil},
		{"autoscaling: {metrics: builtin}", []string{"APIService/v1beta2.custom.metrics.k8s.io", "ClusterRole/" + n + "-gpu-metrics", "ClusterRole/" + n + "-custom-metrics", "ClusterRoleBinding/" + n + "-custom-metrics", "ClusterRoleBinding/" + n + "-gpu-metrics",
			"NetworkPolicy/" + n + "-custom-metrics", "RoleBinding/" + n + "-metrics-reader", "Secret/" + n + "-custom-metrics", "Service/" + n + "-custom-metrics"}, nil},
		{"namespace: {create: true}", []string{"Namespace/nexus"}, nil},
		{"gpu: {createRuntimeClass: true}", []string{"RuntimeClass/nvidia"}, nil},
		{"resourceQuota: {enabled: true}", []string{"ResourceQuota/" + n}, nil},
		{"limitRange: {enabled: true}", []string{"LimitRange/" + n}, nil},
		{"devicePlugin: {enabled: true}", []string{"DaemonSet/nvidia-device-plugin", "ServiceAccount/" + n + "-device-plugin"}, nil},
		{"serviceMonitor: {enabled: true}", []string{"ServiceMonitor/" + n}, nil},
		{"queues: [{name: a}, {name: b}]", []string{"NexusQueue/a", "NexusQueue/b"}, nil},
		{"jobDefaults: {enabled: true}", []string{"ConfigMap/" + n + "-job-defaults"}, nil},
		{"controller: {replicas: 1}", nil, []string{"PodDisruptionBudget/" + n + "-controller"}},
		{"podDisruptionBudget: {enabled: false}", nil, []string{"PodDisruptionBudget/" + n + "-controller"}},
		{"rbac: {userRoles: false}", nil, []string{"ClusterRole/nexus-user", "ClusterRole/nexus-viewer"}},
		{"controller: {jobNamespace: team}", []string{"Role/" + n + "-jobs", "RoleBinding/" + n + "-jobs"}, []string{"ClusterRole/" + n + "-jobs", "ClusterRoleBinding/" + n + "-jobs"}},
		{"agent: {annotate: false}", nil, []string{"ClusterRole/" + n + "-agent", "ClusterRoleBinding/" + n + "-agent", "ValidatingAdmissionPolicy/" + n + "-agent", "ValidatingAdmissionPolicyBinding/" + n + "-agent"}},
		{"agent: {enabled: false}", nil, []string{"ClusterRole/" + n + "-agent", "ClusterRoleBinding/" + n + "-agent", "DaemonSet/" + n + "-agent", "Service/" + n + "-agent", "ServiceAccount/" + n + "-agent", "ValidatingAdmissionPolicy/" + n + "-agent", "ValidatingAdmissionPolicyBinding/" + n + "-agent"}},
		{"controller: {enabled: false}", nil, []string{"ClusterRole/" + n + "-controller", "ClusterRole/" + n + "-jobs", "ClusterRoleBinding/" + n + "-controller", "ClusterRoleBinding/" + n + "-jobs", "Deployment/" + n + "-controller", "PodDisruptionBudget/" + n + "-controller", "Role/" + n + "-leader", "RoleBinding/" + n + "-leader", "Service/" + n + "-controller", "ServiceAccount/" + n + "-controller"}},
		{"priorityClasses: {create: false}", nil, []string{"PriorityClass/" + n + "-critical", "PriorityClass/" + n + "-high", "PriorityClass/" + n + "-low", "PriorityClass/" + n + "-normal"}},
		{"rbac: {create: false}", nil, []string{"ClusterRole/" + n + "-agent", "ClusterRole/" + n + "-controller", "ClusterRole/" + n + "-jobs", "ClusterRoleBinding/" + n + "-agent", "ClusterRoleBinding/" + n + "-controller", "ClusterRoleBinding/" + n + "-jobs",
			"Role/" + n + "-leader", "RoleBinding/" + n + "-leader", "ValidatingAdmissionPolicy/" + n + "-agent", "ValidatingAdmissionPolicyBinding/" + n + "-agent"}},
		{"serviceAccount: {create: false}", nil, []string{"ServiceAccount/" + n + "-agent", "ServiceAccount/" + n + "-controller"}},
		{"networkPolicy: {enabled: false}", nil, []string{"NetworkPolicy/" + n + "-apiserver", "NetworkPolicy/" + n + "-deny", "NetworkPolicy/" + n + "-dns", "NetworkPolicy/" + n + "-inside", "NetworkPolicy/" + n + "-scrapes", "NetworkPolicy/" + n + "-training"}},
	} {
		now := names(render(t, c.values))
		var comes, leave []string
		for name := range now {
			if plain[name] == nil {
				comes = append(comes, name)
			}
		}
		for name := range plain {
			if now[name] == nil {
				leave = append(leave, name)
			}
		}
		slices.Sort(comes)
		slices.Sort(leave)
		slices.Sort(c.comes)
		if !slices.Equal(comes, c.comes) || !slices.Equal(leave, c.leave) {
			t.Errorf("%s:\n comes %q\n  want %q\n leave %q\n  want %q", c.values, comes, c.comes, leave, c.leave)
		}
	}
}

// What a value says is in the field that it is for.
func TestValuesArrive(t *testing.T) {
	const pod, main = "spec.template.spec.", "spec.template.spec.containers.0."
	for _, c := range []struct{ values, object, path, want string }{
		{"{}", "Deployment/nexus-ai-nexus-controller", "spec.replicas", "2"},
		{"controller: {replicas: 1, leaderElection: false}", "Deployment/nexus-ai-nexus-controller", "spec.strategy.type", "Recreate"},
		{"{}", "Deployment/nexus-ai-nexus-controller", main + "image", "ai-nexus/nexus:0.1.0"},
		{"image: {repository: r, tag: t}", "DaemonSet/nexus-ai-nexus-agent", main + "image", "r:t"},
		{"{}", "Deployment/nexus-ai-nexus-controller", main + "args", "[--listen=:8000 --metrics-listen=:9090 --launcher-image=ai-nexus/nexus:0.1.0]"},
		{"controller: {launcher: false, jobImage: i, jobNamespace: team, nodes: a=b, extraArgs: [--z]}", "Deployment/nexus-ai-nexus-controller", main + "args", "[--listen=:8000 --metrics-listen=:9090 --image=i --namespace=team --nodes=a=b --z]"},
		{"{}", "Deployment/nexus-ai-nexus-controller", "spec.strategy.type", "RollingUpdate"},
		{"controller: {nodeSelector: {a: b}, priorityClassName: p}", "Deployment/nexus-ai-nexus-controller", pod + "priorityClassName", "p"},
		{"{}", "DaemonSet/nexus-ai-nexus-agent", pod + "runtimeClassName", "nvidia"},
		{"gpu: {runtimeClassName: ''}", "DaemonSet/nexus-ai-nexus-agent", pod + "runtimeClassName", ""},
		{"{}", "DaemonSet/nexus-ai-nexus-agent", main + "args.2", "--period=5s"},
		{"agent: {podResources: true}", "DaemonSet/nexus-ai-nexus-agent", main + "args.3", "--pod-resources=/var/lib/kubelet/pod-resources/kubelet.sock"},
		{"agent: {podResources: true}", "DaemonSet/nexus-ai-nexus-agent", pod + "volumes.1.hostPath.path", "/var/lib/kubelet/pod-resources"},
		{"agent: {podResources: true}", "DaemonSet/nexus-ai-nexus-agent", pod + "securityContext.runAsUser", "0"},
		{"agent: {annotate: false}", "DaemonSet/nexus-ai-nexus-agent", pod + "automountServiceAccountToken", "false"},
		{"workload: {enabled: true}", "Deployment/nexus-ai-nexus", main + "resources.limits", "map[cpu:16 memory:32Gi nvidia.com/gpu:1]"},
		{"workload: {enabled: true}", "Deployment/nexus-ai-nexus", main + "resources.requests", "map[cpu:8 memory:16Gi nvidia.com/gpu:1]"},
		{"workload: {enabled: true}", "Deployment/nexus-ai-nexus", main + "readinessProbe.exec.command", "[nexus health --gpu=required]"},
		{"workload: {enabled: true}", "Deployment/nexus-ai-nexus", main + "livenessProbe.httpGet.path", "/health"},
		{"workload: {enabled: true, gpuCheck: false}", "Deployment/nexus-ai-nexus", main + "readinessProbe.httpGet.path", "/ready"},
		{"workload: {enabled: true}", "Deployment/nexus-ai-nexus", pod + "priorityClassName", "nexus-ai-nexus-normal"},
		{"workload: {enabled: true, command: [python], args: [serve.py]}", "Deployment/nexus-ai-nexus", main + "args", "[serve.py]"},
		{"workload: {enabled: true}", "PersistentVolumeClaim/nexus-ai-nexus-data", "spec.resources.requests.storage", "100Gi"},
		{"{workload: {enabled: true}, persistence: {storageClass: fast}}", "PersistentVolumeClaim/nexus-ai-nexus-data", "spec.storageClassName", "fast"},
		{"{workload: {enabled: true, env: {A: b}}}", "ConfigMap/nexus-ai-nexus", "data.A", "b"},
		{"{workload: {enabled: true}}", "ConfigMap/nexus-ai-nexus", "data.MASTER_ADDR", "127.0.0.1"},
		{"{workload: {enabled: true}, distributed: {enabled: true, masterPort: 29600, backend: gloo, worldSize: 4}}", "ConfigMap/nexus-ai-nexus", "data.MASTER_PORT", "29600"},
		{"{workload: {enabled: true}, distributed: {enabled: true, backend: gloo, worldSize: 4}}", "ConfigMap/nexus-ai-nexus", "data.NEXUS_DISTRIBUTED_BACKEND", "gloo"},
		{"{workload: {enabled: true}, distributed: {enabled: true, worldSize: 4}}", "ConfigMap/nexus-ai-nexus", "data.NEXUS_WORLD_SIZE", "4"},
		{"{workload: {enabled: true}, ingress: {enabled: true}}", "Ingress/nexus-ai-nexus", "spec.tls.0.secretName", "nexus-ai-nexus-tls"},
		{"{workload: {enabled: true}, ingress: {enabled: true, tls: {enabled: false}}}", "Ingress/nexus-ai-nexus", "spec.tls", ""},
		{"{workload: {enabled: true}, hpa: {enabled: true}}", "Deployment/nexus-ai-nexus", "spec.replicas", ""},
		{"{workload: {enabled: true}, hpa: {enabled: true}}", "HorizontalPodAutoscaler/nexus-ai-nexus", "spec.metrics.1.resource.target.averageUtilization", "80"},
		{"{workload: {enabled: true}, hpa: {enabled: true}}", "HorizontalPodAutoscaler/nexus-ai-nexus", "spec.metrics.2", ""},
		{"{workload: {enabled: true}, hpa: {enabled: true}, autoscaling: {metrics: builtin}}", "HorizontalPodAutoscaler/nexus-ai-nexus", "spec.metrics.2.pods", "map[metric:map[name:nexus_pod_gpu_utilization] target:map[averageValue:80 type:AverageValue]]"},
		{"{workload: {enabled: true}, hpa: {enabled: true}, autoscaling: {metrics: keda}}", "ScaledObject/nexus-ai-nexus", "spec.triggers.2.metadata.threshold", "80"},
		{"networkPolicy: {jobEgress: [{ipBlock: {cidr: 0.0.0.0/0}}]}", "NetworkPolicy/nexus-ai-nexus-training", "spec.egress.1.to.0.ipBlock.cidr", "0.0.0.0/0"},
		{"networkPolicy: {scrapeFrom: [{podSelector: {}}]}", "NetworkPolicy/nexus-ai-nexus-scrapes", "spec.ingress.0.from", "[map[podSelector:map[]]]"},
		{"{}", "NetworkPolicy/nexus-ai-nexus-scrapes", "spec.ingress.0.from", "[map[namespaceSelector:map[]]]"},
		{"{namespace: {create: true, name: jobs}}", "Namespace/jobs", "metadata.labels.pod-security~kubernetes~io/enforce", "restricted"},
		{"{namespace: {name: jobs}, resourceQuota: {enabled: true}}", "ResourceQuota/nexus-ai-nexus", "metadata.namespace", "jobs"},
		{"fullnameOverride: x", "Deployment/x-controller", "metadata.name", "x-controller"},
		{"nameOverride: nexus", "Deployment/nexus-controller", "metadata.name", "nexus-controller"},
		{"devicePlugin: {enabled: true}", "DaemonSet/nvidia-device-plugin", "metadata.namespace", "kube-system"},
		{"serviceMonitor: {enabled: true, labels: {release: prom}}", "ServiceMonitor/nexus-ai-nexus", "metadata.labels.release", "prom"},
		{"{jobDefaults: {enabled: true}}", "Deployment/nexus-ai-nexus-controller", main + "args.3", "--job-defaults=/defaults/defaults.yaml"},
		{"{jobDefaults: {enabled: true}}", "Deployment/nexus-ai-nexus-controller", pod + "volumes.1.configMap.name", "nexus-ai-nexus-job-defaults"},
		{"{jobDefaults: {enabled: true}}", "ConfigMap/nexus-ai-nexus-job-defaults", "data.defaults~yaml",
			"distributed:\n  backend: nccl\n  enabled: false\n  masterPort: 29500\n  worldSize: 1\ngpu:\n  count: 1\n  memory: \"\"\n  model: []\n  runtimeClassName: nvidia\n"},
		{"autoscaling: {metrics: builtin}", "Deployment/nexus-ai-nexus-controller", main + "args.3", "--custom-metrics-listen=:8443"},
	} {
		o := names(render(t, c.values))[c.object]
		if o == nil {
			t.Errorf("%s: there is no %s", c.values, c.object)
		} else if got := at(o, c.path); got != c.want {
			t.Errorf("%s: %s of %s is %q and not %q", c.values, c.path, c.object, got, c.want)
		}
	}
}

func TestTheProfileOfTheSeeds(t *testing.T) {
	seed := names(render(t, read(t, "deploy/helm/ai-nexus/values-seed.yaml")))
	o := seed["Deployment/nexus-ai-nexus"]
	if got := at(o, "spec.template.spec.containers.0.resources.limits"); got != "map[cpu:16 memory:32Gi nvidia.com/gpu:2]" {
		t.Errorf("its limits: %s", got)
	}
	for _, name := range []string{"Ingress/nexus-ai-nexus", "HorizontalPodAutoscaler/nexus-ai-nexus", "PersistentVolumeClaim/nexus-ai-nexus-data", "PodDisruptionBudget/nexus-ai-nexus-workload", "ResourceQuota/nexus-ai-nexus"} {
		if seed[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

// What is wrong is refused before anything is made, with the value's name.
func TestTheSchemaRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"gpu: {count: 0}":                  "/gpu/count",
		"gpu: {count: 9}":                  "/gpu/count",
		"gpu: {count: two}":                "/gpu/count",
		"gpus: {count: 1}":                 "gpus",
		"workload: {enable: true}":         "enable",
		"autoscaling: {metrics: other}":    "/autoscaling/metrics",
		"distributed: {masterPort: 80}":    "/distributed/masterPort",
		"distributed: {masterPort: 29400}": "/distributed/masterPort",
		"gpu: {memory: much}":              "/gpu/memory",
		"gpu: {model: H100}":               "/gpu/model",
		"{jobDefaults: {enabled: true}, gpu: {resource: amd.com/gpu}}":                                "gpu.resource",
		"{jobDefaults: {enabled: true}, gpu: {count: 2}, distributed: {enabled: true, worldSize: 3}}": "distributed.worldSize",
		"controller: {replicas: 9}":           "/controller/replicas",
		"controller: {leaderElection: false}": "controller.leaderElection",
		"persistence: {size: 100}":            "/persistence/size",
		"hpa: {maxReplicas: 0}":               "/hpa/maxReplicas",
		"namespace: {podSecurity: lax}":       "/namespace/podSecurity",
		"workload: {priorityClass: most}":     "/workload/priorityClass",
	} {
		if _, err := tryRender(t, values(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// foreign are kinds whose types are none of Kubernetes' own: a real API server decodes ours in TestInstall.
var foreign = []string{"NexusQueue", "ServiceMonitor", "ScaledObject", "APIService"}

// decode reads an object as the API server would with fieldValidation=Strict.
func decode(t testing.TB, o *unstructured.Unstructured) runtime.Object {
	t.Helper()
	text, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	typed, _, err := strict.Decode(text, nil, nil)
	if err != nil {
		t.Errorf("%s: %v", nameOf(o), err)
	}
	return typed
}

func podOf(o runtime.Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	}
	return nil
}

// Every object has only fields that there are; every pod passes the restricted standard and more, except that of
// NVIDIA's device plugin, which stands elsewhere because it cannot.
func TestObjectsAreStrictAndPodsRestricted(t *testing.T) {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pods := 0
	for _, text := range []string{"{}", everything, read(t, "deploy/helm/ai-nexus/values-seed.yaml"), "{gpu: {runtimeClassName: ''}, workload: {enabled: true, gpuCheck: false}}"} {
		for _, o := range render(t, text) {
			if slices.Contains(foreign, o.GetKind()) {
				continue
			}
			typed := decode(t, o)
			pod := podOf(typed)
			if pod == nil || o.GetName() == "nvidia-device-plugin" {
				continue
			}
			pods++
			verdict := policy.AggregateCheckResults(checks.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
			if !verdict.Allowed {
				t.Errorf("%s: %s", nameOf(o), verdict.ForbiddenDetail())
			}
			for _, c := range pod.Spec.Containers {
				s := c.SecurityContext
				if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
					t.Errorf("%s: the root of %s can be written", nameOf(o), c.Name)
				}
				if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: %s has no bound on memory", nameOf(o), c.Name)
				}
			}
			if u := pod.Spec.SecurityContext.RunAsUser; u == nil || *u != 1000 {
				t.Errorf("%s runs as %v", nameOf(o), u)
			}
			selector, err := metav1.LabelSelectorAsSelector(selectorOf(typed))
			if err != nil || selector.Empty() || !selector.Matches(labelSet(pod.Labels)) {
				t.Errorf("%s does not select its pods: %v", nameOf(o), err)
			}
		}
	}
	if pods < 10 {
		t.Errorf("only %d pods were looked at", pods)
	}
}

func selectorOf(o runtime.Object) *metav1.LabelSelector {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return o.Spec.Selector
	case *appsv1.DaemonSet:
		return o.Spec.Selector
	}
	return nil
}

type labelSet map[string]string

func (l labelSet) Has(key string) bool              { _, ok := l[key]; return ok }
func (l labelSet) Get(key string) string            { return l[key] }
func (l labelSet) Lookup(key string) (string, bool) { v, ok := l[key]; return v, ok }

// Names stay within what Kubernetes takes, however long the release's is.
func TestLongNames(t *testing.T) {
	long := values(t, "fullnameOverride: "+strings.Repeat("x", 40))
	r, err := tryRender(t, long)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, []byte(r.Manifest)) {
		if o.GetKind() == "Service" && len(o.GetName()) > 63 {
			t.Errorf("%s is too long", nameOf(o))
		}
	}
}

// The copies in the chart are the files that they are copies of.
func TestCopiesInTheChart(t *testing.T) {
	pairs := map[string]string{"deploy/manifests/admission-policy.yaml": "templates/admission-policy.yaml", "deploy/manifests/user-role.yaml": "files/user-role.yaml"}
	found, err := filepath.Glob("../manifests/crds/*.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, path := range found {
		pairs["deploy/manifests/crds/"+filepath.Base(path)] = "crds/" + filepath.Base(path)
	}
	for from, to := range pairs {
		if read(t, from) != read(t, "deploy/helm/ai-nexus", to) {
			t.Errorf("%s is not what %s is: make generate", to, from)
		}
	}
	if entries, err := os.ReadDir(chartDir + "/crds"); err != nil || len(entries) != len(found) {
		t.Errorf("the chart has other custom resources: %v, %v", entries, err)
	}
}
