package charttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigs "sigs.k8s.io/yaml"
)

const chartDir = "../helm/ai-nexus"

// values are of a chart, as a user writes them.
func values(t testing.TB, text string) map[string]any {
	t.Helper()
	v := map[string]any{}
	if err := sigs.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func loadChart(t testing.TB) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tryRender renders the chart as `helm template` does, for a release nexus in a namespace nexus.
func tryRender(t testing.TB, v map[string]any) (*release.Release, error) {
	t.Helper()
	install := action.NewInstall(action.NewConfiguration())
	install.ReleaseName, install.Namespace, install.DryRunStrategy = "nexus", "nexus", action.DryRunClient
	install.KubeVersion = &common.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	made, err := install.Run(loadChart(t), v)
	if err != nil {
		return nil, err
	}
	return made.(*release.Release), nil
}

// render gives the objects of the chart with these values.
func render(t testing.TB, text string) []*unstructured.Unstructured {
	t.Helper()
	r, err := tryRender(t, values(t, text))
	if err != nil {
		t.Fatalf("with %s: %v", text, err)
	}
	return objects(t, []byte(r.Manifest))
}

// objects reads a file of several.
func objects(t testing.TB, text []byte) []*unstructured.Unstructured {
	t.Helper()
	var list []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := documents.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(o.Object) > 0 {
			list = append(list, o)
		}
	}
}

func nameOf(o *unstructured.Unstructured) string { return o.GetKind() + "/" + o.GetName() }

func names(list []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	named := map[string]*unstructured.Unstructured{}
	for _, o := range list {
		named[nameOf(o)] = o
	}
	return named
}

// at is a field of an object, as text.
func at(o *unstructured.Unstructured, path string) string {
	var v any = o.Object
	for _, key := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[strings.ReplaceAll(key, "~", ".")]
		case []any:
			i := 0
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(in) {
				return ""
			}
			v = in[i]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// read is a file of the repository.
func read(t testing.TB, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
