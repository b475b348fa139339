package jobfile

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// An argument is one --set; path is as messages show it.
type argument struct{ path string }

// apply changes the nodes as the arguments say; later ones win.
func (d *document) apply(args []string) {
	for i, arg := range args {
		path, value, ok := strings.Cut(arg, "=")
		d.args = append(d.args, argument{quote(path)})
		at := d.brought(i, &yaml.Node{Kind: yaml.ScalarNode})
		switch {
		case !utf8.ValidString(arg):
			d.blame(at, "", "this is not UTF-8 text", "")
		case len(arg) > MaxSize:
			d.blame(at, "", "this is larger than 1 MiB", "")
		case !ok || path == "":
			d.blame(at, "", "want path=value", "for example --set resources.gpus=4")
		default:
			s := setter{d: d, arg: i, value: value}
			s.structure(d.fields, reflect.TypeFor[nexus.Spec](), "", path)
		}
	}
}

// brought marks a node and all in it as made by an argument.
func (d *document) brought(arg int, n *yaml.Node) *yaml.Node {
	d.set[n] = arg
	for _, inner := range n.Content {
		d.brought(arg, inner)
	}
	return n
}

// A setter carries one value down to where its path leads.
type setter struct {
	d     *document
	arg   int
	value string
}

// structure goes into a mapping whose fields are those of t. path is where it is, rest what is left to go.
func (s *setter) structure(mapping *yaml.Node, t reflect.Type, path, rest string) {
	name, rest, deeper := strings.Cut(rest, ".")
	full := join(path, name)
	if second, ok := aliases[full]; ok {
		name, full = second, second
	}
	if !deeper {
		s.d.args[s.arg].path = full
	} else if clean := join(full, rest); !strings.Contains(clean, "[") {
		s.d.args[s.arg].path = clean
	}
	key := s.text(name)
	i := fieldIndex(t, name)
	if i < 0 {
		s.d.unknown(key, path, fieldNames(t), t)
		return
	}
	inner := t.Field(i).Type
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	switch {
	case !deeper:
		if value := s.node(inner, full); value != nil {
			put(mapping, key, value)
		}
	case inner.Kind() == reflect.Map:
		s.entry(s.open(mapping, key), inner.Elem(), full, rest)
	case isContainer(inner) && inner.Kind() == reflect.Struct:
		s.structure(s.open(mapping, key), inner, full, rest)
	case inner.Kind() == reflect.Slice:
		s.d.blame(key, full, full+" is a list and can only be set whole", "--set "+full+"=[...]")
	default:
		s.d.blame(key, full, full+" has no fields", "--set "+full+"=...")
	}
}

// entry sets one name of a map.
func (s *setter) entry(mapping *yaml.Node, t reflect.Type, path, name string) {
	if t == reflect.TypeFor[nexus.EnvValue]() {
		if bare, ok := strings.CutSuffix(name, ".from"); ok {
			s.d.args[s.arg].path = join(path, bare) + ".from"
			from := s.d.brought(s.arg, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			put(from, s.text("from"), s.text(s.value))
			put(mapping, s.text(bare), from)
			return
		}
	}
	s.d.args[s.arg].path = join(path, name)
	put(mapping, s.text(name), s.text(s.value))
}

// node makes the value for a field of type t: text is taken as it is, the rest is read as YAML.
func (s *setter) node(t reflect.Type, path string) *yaml.Node {
	literal := !isContainer(t)
	if t == reflect.TypeFor[nexus.Command]() {
		literal = !strings.HasPrefix(strings.TrimSpace(s.value), "[")
	}
	switch {
	case s.value == "null":
		return s.d.brought(s.arg, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
	case literal && (t.Kind() == reflect.String && len(choices(t)) == 0 || t == reflect.TypeFor[nexus.Command]()):
		return s.text(s.value)
	case literal:
		return s.d.brought(s.arg, &yaml.Node{Kind: yaml.ScalarNode, Value: s.value})
	}
	n, mistake := parseText([]byte(s.value))
	at := s.text("")
	switch {
	case mistake != nil:
		s.d.blame(at, path, mistake.text, mistake.hint)
		return nil
	case n == nil || isNull(n):
		s.d.blame(at, path, "has no value", "--set "+path+"=null takes it out")
		return nil
	}
	return s.d.brought(s.arg, n)
}

// text makes a scalar that is text whatever it looks like.
func (s *setter) text(value string) *yaml.Node {
	return s.d.brought(s.arg, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value})
}

// open returns the mapping that a field holds, as a copy: an anchor's mapping is used elsewhere too. Where it
// holds something else that stays, for its own mistake to be told.
func (s *setter) open(mapping, key *yaml.Node) *yaml.Node {
	old := find(mapping, key.Value)
	if old != nil && old.Kind == yaml.AliasNode {
		old = old.Alias
	}
	fresh := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	switch {
	case old == nil || isNull(old):
		s.d.set[fresh] = s.arg
	case old.Kind == yaml.MappingNode:
		*fresh = *old
		fresh.Content = append([]*yaml.Node(nil), old.Content...)
		if arg, ok := s.d.set[old]; ok {
			s.d.set[fresh] = arg
		}
	default:
		return fresh // lost, on purpose
	}
	put(mapping, key, fresh)
	return fresh
}

// put gives a field its value, also where it stands under its second name.
func put(mapping, key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		old := mapping.Content[i]
		if old.Kind == yaml.ScalarNode && (old.Value == key.Value || aliases[old.Value] == key.Value) {
			mapping.Content[i+1] = value
			if old.Value != key.Value {
				mapping.Content[i] = key
			}
			return
		}
	}
	mapping.Content = append(mapping.Content, key, value)
}
