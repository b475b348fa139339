package jobfile

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// The Kubernetes form of the same document.
const (
	kubeVersion = "ainexus.io/v1alpha1"
	kubeKind    = "NexusJob"
)

var kubeFields = []string{"apiVersion", "kind", "metadata", "spec", "status"}

// kubeMetadata are the fields that Kubernetes has there; the job needs the name only.
var kubeMetadata = []string{
	"name", "namespace", "labels", "annotations", "uid", "resourceVersion", "generation", "creationTimestamp",
	"deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "ownerReferences", "finalizers", "selfLink",
}

// unwrap returns the mapping of the job's fields: root itself, or the spec of the Kubernetes form. It is nil
// where the form is so wrong that its fields would be misread.
func (d *document) unwrap(root *yaml.Node) *yaml.Node {
	if find(root, "apiVersion") == nil && find(root, "kind") == nil {
		return root
	}
	var spec *yaml.Node
	seen := map[string]int{}
	var sound bool
	for key, value := range d.pairs(root, "", seen) {
		switch key.Value {
		case "apiVersion":
			d.constant(value, "apiVersion", kubeVersion)
		case "kind":
			sound = d.constant(value, "kind", kubeKind)
		case "metadata":
			d.metadata(value)
		case "spec":
			spec = value
		case "status":
		default:
			d.unknown(key, "", kubeFields, nil)
		}
	}
	for _, field := range []string{"apiVersion", "kind", "spec"} {
		if seen[field] == 0 {
			d.blame(root, field, field+" is missing", "a job is written as apiVersion: "+kubeVersion+", kind: "+kubeKind+", metadata and spec")
		}
	}
	if spec = d.follow(spec); spec == nil || !sound {
		return nil
	}
	if spec.Kind != yaml.MappingNode {
		d.wrong(spec, "spec", "want fields, got "+kindOf(spec), smallest)
		return nil
	}
	if name := find(spec, "name"); name != nil {
		d.wrong(name, "name", "in this form the name belongs into metadata", "")
	}
	return spec
}

// constant wants a field to have the one value that is known.
func (d *document) constant(n *yaml.Node, field, want string) bool {
	n = d.follow(n)
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Value != want {
		text := "want " + want
		if n.Kind == yaml.ScalarNode {
			text += ", got " + quote(n.Value)
		}
		d.wrong(n, field, text, "")
		return false
	}
	return true
}

// metadata takes the name and passes over what else Kubernetes keeps there.
func (d *document) metadata(n *yaml.Node) {
	if n = d.follow(n); n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.wrong(n, "metadata", "want fields, got "+kindOf(n), "")
		return
	}
	for key, value := range d.pairs(n, "metadata", map[string]int{}) {
		switch {
		case !slices.Contains(kubeMetadata, key.Value):
			d.unknown(key, "metadata", kubeMetadata[:4], nil)
		case key.Value == "name":
			if value = d.follow(value); value != nil {
				d.title, _ = d.scalar(value, "metadata.name", "text")
				d.given["metadata.name"] = value
			}
		}
	}
}

// find returns the value of a mapping's field, or nil.
func find(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name && mapping.Content[i].Kind == yaml.ScalarNode {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// within reports whether the path is the field or a part of it.
func within(path, field string) bool {
	rest, ok := strings.CutPrefix(path, field)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
