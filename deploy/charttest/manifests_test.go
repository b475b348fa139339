package charttest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var write = flag.Bool("write", false, "write the manifests instead of comparing them")

// files are the manifests and what of the chart is in each.
var files = []struct {
	name  string
	kinds []string // empty: by component
	of    string   // component
}{
	{"namespace.yaml", []string{"Namespace"}, ""},
	{"nvidia-device-plugin.yaml", nil, "device-plugin"},
	{"rbac.yaml", []string{"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}, ""},
	{"priority-class.yaml", []string{"PriorityClass"}, ""},
	{"resource-quota.yaml", []string{"ResourceQuota", "LimitRange"}, ""},
	{"network-policies.yaml", []string{"NetworkPolicy"}, ""},
	{"controller.yaml", nil, "controller"},
	{"agent.yaml", nil, "agent"},
	{"workload.yaml", nil, "workload"},
}

// plain are the values of the manifests: all that the seeds name, as one would apply it without helm.
const plain = `
fullnameOverride: ai-nexus
namespace: {create: true}
gpu: {count: 2}
distributed: {enabled: true, worldSize: 2}
resourceQuota: {enabled: true}
limitRange: {enabled: true}
devicePlugin: {enabled: true}
workload: {enabled: true}
ingress: {enabled: true}
hpa: {enabled: true}
`

// The plain manifests are what the chart renders, without what only helm reads.
func TestManifests(t *testing.T) {
	list := slices.DeleteFunc(render(t, plain), func(o *unstructured.Unstructured) bool {
		return o.GetName() == "nexusjobs.ainexus.io" // the admission policy is a file of its own
	})
	for _, f := range files {
		var text bytes.Buffer
		text.WriteString("# Made from the chart deploy/helm/ai-nexus by `make generate`.\n")
		list = slices.DeleteFunc(list, func(o *unstructured.Unstructured) bool {
			if !slices.Contains(f.kinds, o.GetKind()) && (f.of == "" || o.GetLabels()["app.kubernetes.io/component"] != f.of) {
				return false
			}
			text.WriteString("---\n")
			text.Write(plainly(t, o))
			return true
		})
		path := filepath.Join("..", "manifests", f.name)
		if *write {
			if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if read(t, "deploy", "manifests", f.name) != text.String() {
			t.Errorf("%s is not what the chart renders: make generate", path)
		}
	}
	for _, o := range list {
		t.Errorf("%s is in no file", nameOf(o))
	}
}

// plainly is an object without helm's labels and annotations.
func plainly(t *testing.T, o *unstructured.Unstructured) []byte {
	t.Helper()
	strip := func(o map[string]any) {
		labels, _, _ := unstructured.NestedStringMap(o, "metadata", "labels")
		delete(labels, "helm.sh/chart")
		delete(labels, "app.kubernetes.io/managed-by")
		if len(labels) > 0 {
			_ = unstructured.SetNestedStringMap(o, labels, "metadata", "labels") // the path is there
		}
		annotations, _, _ := unstructured.NestedStringMap(o, "metadata", "annotations")
		delete(annotations, "helm.sh/resource-policy")
		if unstructured.RemoveNestedField(o, "metadata", "annotations"); len(annotations) > 0 {
			_ = unstructured.SetNestedStringMap(o, annotations, "metadata", "annotations")
		}
	}
	strip(o.Object)
	if template, ok, _ := unstructured.NestedMap(o.Object, "spec", "template"); ok {
		strip(template)
		_ = unstructured.SetNestedMap(o.Object, template, "spec", "template")
	}
	text, err := yaml.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
