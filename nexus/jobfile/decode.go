package jobfile

import (
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// maxScalar is the longest amount, number or word that is looked at; text may be longer.
const maxScalar = 64

// maxList is the longest list of indices that is looked at.
const maxList = 4096

// aliases are second names of fields.
var aliases = map[string]string{"time_limit": "max_duration"}

// read fills spec from the job's fields.
func (d *document) read(n *yaml.Node, spec *nexus.Spec) { d.value(n, reflect.ValueOf(spec).Elem(), "") }

// value fills v from a node; a mistake leaves v as it was.
func (d *document) value(n *yaml.Node, v reflect.Value, path string) {
	if n = d.follow(n); n == nil {
		return
	}
	if isNull(n) && path != "" && !inTable(path) && (n.Value != "" || isContainer(v.Type())) {
		return // null, and a heading whose lines are all commented out, say nothing
	}
	d.given[path] = n
	switch target := v.Addr().Interface().(type) {
	case *nexus.Command:
		d.command(n, target, path)
	case *nexus.EnvValue:
		d.envValue(n, target, path)
	case *nexus.Array:
		if text, ok := d.scalar(n, path, "indices such as 0-15"); ok {
			if len(text) > maxList {
				d.wrong(n, path, quote(text)+" is too long to be a list of indices", "write spans: 0-99, 0-99:2")
			} else if err := target.UnmarshalText([]byte(text)); err != nil {
				d.wrong(n, path, err.Error(), "")
			}
		}
	case encoding.TextUnmarshaler:
		d.text(n, target, path)
	default:
		d.kind(n, v, path)
	}
}

// kind fills v by its Go kind.
func (d *document) kind(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.value(n, fresh.Elem(), path)
		if scalar := v.Type().Elem().Kind() != reflect.Struct; scalar && !d.broken[path] || n.Kind == yaml.MappingNode {
			v.Set(fresh)
		}
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.table(n, v, path)
	case reflect.String:
		d.word(n, v, path)
	case reflect.Int:
		if text, ok := d.short(n, path, "a whole number"); ok {
			i, err := strconv.Atoi(text)
			if err == nil && strconv.Itoa(i) == text && isBare(n) {
				v.SetInt(int64(i))
			} else {
				d.wrong(n, path, quote(text)+" is not a whole number", unquoted(n, err == nil))
			}
		}
	case reflect.Bool:
		if text, ok := d.short(n, path, "true or false"); ok {
			is := text == "true" || text == "false"
			if is && isBare(n) {
				v.SetBool(text == "true")
			} else {
				d.wrong(n, path, quote(text)+" is neither true nor false", unquoted(n, is))
			}
		}
	}
}

// unquoted is the hint for what would be right without its quotes.
func unquoted(n *yaml.Node, right bool) string {
	if isBare(n) || !right {
		return ""
	}
	return "write it without quotes"
}

// structure fills the fields of a struct by their json names and refuses all others.
func (d *document) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "want fields, got "+kindOf(n), "it takes "+strings.Join(fieldNames(v.Type()), ", "))
		return
	}
	seen, names := map[string]int{}, fieldNames(v.Type())
	for key, value := range d.pairs(n, path, seen) {
		name := key.Value
		full := join(path, name)
		if second, ok := aliases[full]; ok {
			if seen[second] > 0 {
				d.wrong(key, second, name+" and "+second+" are the same field; give one of them", "")
				continue
			}
			name, full = second, second
		} else if slices.Contains(names, name) && aliased(name, seen, path) {
			d.wrong(key, full, "time_limit and "+name+" are the same field; give one of them", "")
			continue
		}
		i := slices.Index(names, name)
		if i < 0 {
			d.unknown(key, path, names, v.Type())
			continue
		}
		d.value(value, v.Field(fieldIndex(v.Type(), name)), full)
	}
}

// list fills a slice. An empty list of what is optional is as good as none, except where empty means something.
func (d *document) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if n.Kind == yaml.ScalarNode && !isNull(n) && len(n.Value) <= maxScalar {
			hint = "write a list: [" + strings.Trim(quote(n.Value), `"`) + "]"
		}
		d.wrong(n, path, "want a list, got "+kindOf(n), hint)
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if isNull(item) {
			d.wrong(item, at, "this item has no value", "")
			continue
		}
		d.value(item, items.Index(i), at)
	}
	if items.Len() > 0 || path == "restart.on" {
		v.Set(items)
	} else {
		v.SetZero()
	}
}

// table fills a map whose keys the user makes up.
func (d *document) table(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "want names with values, got "+kindOf(n), "write "+path+": {NAME: value}")
		return
	}
	filled := reflect.MakeMap(v.Type())
	for key, value := range d.pairs(n, path, map[string]int{}) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, item, join(path, key.Value))
		filled.SetMapIndex(reflect.ValueOf(key.Value), item)
	}
	if filled.Len() > 0 {
		v.Set(filled)
	}
}

// pairs yields the keys and values of a mapping; keys that are no names, or that came before, are blamed and left
// out. seen receives the line of each key.
func (d *document) pairs(n *yaml.Node, path string, seen map[string]int) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content) && len(d.faults) < maxErrors; i += 2 {
			key := d.follow(n.Content[i])
			switch {
			case key == nil:
				return
			case key.Kind != yaml.ScalarNode:
				d.blame(key, path, "the name of a field is text, not "+kindOf(key), "")
				continue
			case key.Tag == "!!merge":
				d.blame(key, path, "merge keys (<<) are not supported", "write the fields out")
				continue
			case seen[key.Value] > 0:
				d.blame(key, join(path, key.Value), join(path, key.Value)+" is given twice, first on line "+strconv.Itoa(seen[key.Value]), "")
				continue
			}
			seen[key.Value] = max(1, key.Line)
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// follow resolves an alias and accounts for what is read; nil where that is too much.
func (d *document) follow(n *yaml.Node) *yaml.Node {
	if n == nil || d.left < 0 {
		return nil
	}
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.left -= 1 + len(n.Value); d.left < 0 {
		d.blame(at, "", d.name+" grows beyond 1 MiB where its aliases (*name) are written out", "")
		return nil
	}
	return n
}

// aliased reports whether a field was already given by its second name.
func aliased(name string, seen map[string]int, path string) bool {
	for alias, field := range aliases {
		if field == join(path, name) && seen[alias] > 0 {
			return true
		}
	}
	return false
}

// join appends a key to a path; one that would be misread there is quoted.
func join(path, key string) string {
	switch {
	case !isPlainKey(key):
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// fieldNames lists the json names of a struct's fields, in order.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name := jsonName(t.Field(i)); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func fieldIndex(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if jsonName(t.Field(i)) == name {
			return i
		}
	}
	return -1
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// isContainer reports whether a field holds other fields or items.
func isContainer(t reflect.Type) bool {
	switch {
	case t == reflect.TypeFor[nexus.Command](), t == reflect.TypeFor[nexus.EnvValue]():
		return false
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return false
	}
	return t.Kind() != reflect.String && t.Kind() != reflect.Int && t.Kind() != reflect.Bool
}
