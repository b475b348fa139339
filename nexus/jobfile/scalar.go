package jobfile

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// scalar returns the text of a value as it is written: 1.10 stays 1.10.
func (d *document) scalar(n *yaml.Node, path, want string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.wrong(n, path, "want "+want+", got "+kindOf(n), "")
	case n.Style&yaml.TaggedStyle != 0 && !slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool"}, n.ShortTag()):
		d.wrong(n, path, "the tag "+quote(n.Tag)+" means nothing here", "write the value without it")
	case isNull(n) && inTable(path):
		d.wrong(n, path, "has no value", `write "" for an empty one`)
	case isNull(n):
		d.wrong(n, path, "has no value", "give it one, or take the line out")
	default:
		return n.Value, true
	}
	return "", false
}

// inTable reports whether the path is of a value whose name the user made up.
func inTable(path string) bool {
	return path != "env" && within(path, "env") || path != "labels" && within(path, "labels")
}

// short is scalar for what is never long.
func (d *document) short(n *yaml.Node, path, want string) (string, bool) {
	text, ok := d.scalar(n, path, want)
	if ok && len(text) > maxScalar {
		d.wrong(n, path, quote(text)+" is too long to be "+want, "")
		return "", false
	}
	return text, ok
}

// text fills what reads itself: amounts, ranges, types.
func (d *document) text(n *yaml.Node, target encoding.TextUnmarshaler, path string) {
	want := "a value"
	words := choices(reflect.TypeOf(target).Elem())
	if len(words) > 0 {
		want = "a word"
	}
	text, ok := d.short(n, path, want)
	if !ok {
		return
	}
	if err := target.UnmarshalText([]byte(text)); err != nil {
		d.wrong(n, path, err.Error(), meant(nearest(text, words)))
		return
	}
	bytes, err := strconv.ParseUint(text, 10, 20)
	if _, memory := target.(*nexus.MiB); memory && err == nil && bytes > 0 {
		d.wrong(n, path, text+" without a unit is a number of bytes, and less than 1MiB", "write the unit: "+text+"GiB or "+text+"MiB")
	}
}

// word fills a string, or one of a few words.
func (d *document) word(n *yaml.Node, v reflect.Value, path string) {
	words := choices(v.Type())
	if len(words) == 0 {
		if text, ok := d.scalar(n, path, "text"); ok {
			v.SetString(text)
		}
		return
	}
	text, ok := d.short(n, path, "a word")
	switch {
	case !ok:
	case slices.Contains(words, text):
		v.SetString(text)
	default:
		d.wrong(n, path, quote(text)+" is none of "+strings.Join(words, ", "), meant(nearest(text, words)))
	}
}

// choices lists the words that a field of this type takes, where it takes only some.
func choices(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[nexus.Type]():
		return []string{string(nexus.Training), string(nexus.Inference), string(nexus.Preprocessing), string(nexus.Evaluation)}
	case reflect.TypeFor[nexus.Priority]():
		return []string{nexus.Low.String(), nexus.Normal.String(), nexus.High.String(), nexus.Critical.String()}
	case reflect.TypeFor[nexus.Cause]():
		return []string{string(nexus.CauseExit), string(nexus.CauseHang), string(nexus.CauseOOM), string(nexus.CauseNode), string(nexus.CausePreempt)}
	case reflect.TypeFor[nexus.Level]():
		return []string{string(nexus.LevelIsland), string(nexus.LevelNode), string(nexus.LevelRack), string(nexus.LevelBlock)}
	case reflect.TypeFor[nexus.QueueOrder]():
		var words []string
		for _, o := range nexus.QueueOrders() {
			words = append(words, string(o))
		}
		return words
	case reflect.TypeFor[nexus.Await]():
		return []string{string(nexus.AwaitSuccess), string(nexus.AwaitAny)}
	case reflect.TypeFor[nexus.Enforce]():
		return []string{string(nexus.EnforceWarn), string(nexus.EnforceKill)}
	}
	return nil
}

// command fills a shell line or an argv.
func (d *document) command(n *yaml.Node, c *nexus.Command, path string) {
	if n.Kind != yaml.SequenceNode {
		if text, ok := d.scalar(n, path, "a shell line or a list of arguments"); ok {
			*c = nexus.Command{Shell: text}
		}
		return
	}
	var argv []string
	d.list(n, reflect.ValueOf(&argv).Elem(), path)
	*c = nexus.Command{Argv: argv}
}

// envValue fills a literal value or a reference. What is written there is never quoted back.
func (d *document) envValue(n *yaml.Node, e *nexus.EnvValue, path string) {
	if n.Kind != yaml.MappingNode {
		if text, ok := d.scalar(n, path, "text or {from: ...}"); ok {
			*e = nexus.EnvValue{Value: text}
		}
		return
	}
	seen := map[string]int{}
	for key, value := range d.pairs(n, path, seen) {
		if key.Value != "from" {
			d.broken[path] = true
			d.blame(key, path, "unknown field "+quote(key.Value)+" under "+path, "write the value itself, or {from: ...}")
			continue
		}
		if value = d.follow(value); value == nil {
			return
		}
		text, ok := d.scalar(value, path+".from", "text")
		if ok && !isReference(text) {
			d.wrong(value, path+".from", "this is no reference", "a reference is file:PATH, env:NAME or secret:NAME/KEY")
		}
		*e = nexus.EnvValue{From: text}
	}
	if seen["from"] == 0 && !d.broken[path] {
		d.wrong(n, path, "want text or {from: ...}, got fields without from", "a reference is file:PATH, env:NAME or secret:NAME/KEY")
	}
}
