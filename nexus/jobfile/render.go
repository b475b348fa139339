package jobfile

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// Render writes a Spec of [Parse] as YAML, defaults included, always in the same order. Parse reads the same
// Spec back.
func Render(s nexus.Spec) []byte {
	var p page
	p.field(0, "name", scalarText(s.Name))
	p.field(0, "type", scalarText(string(s.Type)))
	p.field(0, "priority", s.Priority.String())
	p.field(0, "queue", scalarText(s.Queue))
	p.field(0, "nodes", s.Nodes.String())
	p.said(0, "workers", s.Workers != 0, strconv.Itoa(s.Workers))
	p.resources(s.Resources)
	if t := s.Topology; t != (nexus.Topology{}) {
		p.field(0, "topology", "")
		p.said(1, "require", t.Require != "", string(t.Require))
		p.said(1, "prefer", t.Prefer != "", string(t.Prefer))
	}
	p.said(0, "prefer_gpus", len(s.PreferGPUs) > 0, flow(s.PreferGPUs, strconv.Itoa))
	p.said(0, "max_duration", s.MaxDuration != 0, s.MaxDuration.String())
	p.said(0, "after", len(s.After) > 0, "")
	for _, a := range s.After {
		p.line(1, "- {job: "+flowText(a.Job)+", on: "+flowText(string(a.On))+"}")
	}
	p.said(0, "array", !s.Array.IsZero(), scalarText(s.Array.String()))
	p.said(0, "labels", len(s.Labels) > 0, "")
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		p.field(1, scalarText(name), scalarText(s.Labels[name]))
	}
	p.said(0, "env", len(s.Env) > 0, "")
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if from := s.Env[name].From; from != "" {
			p.field(1, scalarText(name), "{from: "+flowText(from)+"}")
		} else {
			p.field(1, scalarText(name), scalarText(s.Env[name].Value))
		}
	}
	p.said(0, "volumes", len(s.Volumes) > 0, "")
	for _, v := range s.Volumes {
		p.line(1, "- "+volumeText(v))
	}
	p.said(0, "image", s.Image != "", scalarText(s.Image))
	p.said(0, "code", s.Code != "", scalarText(s.Code))
	p.field(0, "workdir", scalarText(s.Workdir))
	if !s.Setup.IsZero() {
		p.command("setup", s.Setup)
	}
	p.command("run", s.Run)
	if c := s.Checkpoint; c != nil {
		p.field(0, "checkpoint", "")
		p.field(1, "path", scalarText(c.Path))
		p.field(1, "grace", c.Grace.String())
	}
	p.field(0, "restart", "")
	p.field(1, "max", strconv.Itoa(s.Restart.Max))
	p.field(1, "on", flow(s.Restart.On, func(c nexus.Cause) string { return flowText(string(c)) }))
	p.said(1, "grow", s.Restart.Grow != 0, s.Restart.Grow.String())
	p.field(0, "no_progress", s.NoProgress.String())
	return p.Bytes()
}

// A page is YAML that grows by whole lines.
type page struct{ bytes.Buffer }

func (p *page) line(depth int, text string) {
	p.WriteString(strings.Repeat("  ", depth) + text + "\n")
}

func (p *page) field(depth int, name, value string) {
	p.line(depth, strings.TrimSuffix(name+": "+value, " "))
}

func (p *page) said(depth int, name string, said bool, value string) {
	if said {
		p.field(depth, name, value)
	}
}

func (p *page) resources(r nexus.Resources) {
	p.field(0, "resources", "")
	gpus := strconv.Itoa(r.GPUs.N)
	if r.GPUs.Auto {
		gpus = "auto"
	}
	p.field(1, "gpus", gpus)
	p.said(1, "gpu_memory", r.GPUMemory != 0, r.GPUMemory.String())
	p.said(1, "gpu_model", len(r.GPUModel) > 0, flow(r.GPUModel, flowText))
	p.said(1, "mig", r.MIG != "", scalarText(r.MIG))
	p.said(1, "cpu", r.CPU != 0, r.CPU.String())
	p.said(1, "memory", r.Memory != 0, r.Memory.String())
	p.said(1, "shm", r.Shm != 0, r.Shm.String())
	p.said(1, "enforce", r.Enforce != "", scalarText(string(r.Enforce)))
}

// command writes a script of several lines as a block, where a block can hold it.
func (p *page) command(name string, c nexus.Command) {
	switch {
	case c.Argv != nil:
		p.field(0, name, flow(c.Argv, flowText))
	case isBlock(c.Shell):
		header, text := "|", c.Shell
		if whole, ok := strings.CutSuffix(text, "\n"); ok {
			text = whole
		} else {
			header = "|-"
		}
		p.field(0, name, header)
		for _, line := range strings.Split(text, "\n") {
			p.line(min(len(line), 1), line)
		}
	default:
		p.field(0, name, scalarText(c.Shell))
	}
}

// isBlock reports whether text survives as a literal block: several lines, the first with text that is not
// indented, the last with text too, and none of blanks only.
func isBlock(text string) bool {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !strings.Contains(text, "\n") || lines[0] == "" || lines[0][0] == ' ' || lines[len(lines)-1] == "" {
		return false
	}
	return !slices.ContainsFunc(lines, func(line string) bool {
		return !isPrintable(line) || line != "" && strings.TrimSpace(line) == ""
	})
}

func volumeText(v nexus.Volume) string {
	source := "name: " + flowText(v.Name)
	if v.PVC != "" {
		source = "pvc: " + flowText(v.PVC)
	}
	text := "{" + source + ", path: " + flowText(v.Path)
	if v.ReadOnly {
		text += ", read_only: true"
	}
	return text + "}"
}

// flow writes a list on one line.
func flow[T any](items []T, text func(T) string) string {
	var list []string
	for _, item := range items {
		list = append(list, text(item))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

var (
	// plain is text that needs no quotes on a line of its own, whatever reads it.
	plain = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./=+@%$()&|;<>'"*?~^:\\ -]*$`)
	// flowPlain is text that needs none inside [ ] and { } either.
	flowPlain = regexp.MustCompile(`^(?:-{0,2}[A-Za-z_]|[0-9./])(?:[A-Za-z0-9_./=+@~-]|:[A-Za-z0-9_./~])*$`)
	// older is what older YAML takes for true, false or a number of base 60.
	older = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|[0-9]+:.*)$`)
)

// scalarText writes text as a value on its own line.
func scalarText(text string) string {
	if plain.MatchString(text) && !strings.HasSuffix(text, " ") && !strings.HasSuffix(text, ":") && !strings.Contains(text, ": ") && isText(text) {
		return text
	}
	return doubleQuoted(text)
}

// flowText writes text as a value inside [ ] or { }.
func flowText(text string) string {
	if flowPlain.MatchString(text) && isText(text) {
		return text
	}
	return doubleQuoted(text)
}

// isText reports whether bare text would be read as text.
func isText(text string) bool {
	n := yaml.Node{Kind: yaml.ScalarNode, Value: text}
	return n.ShortTag() == "!!str" && !older.MatchString(text)
}

// doubleQuoted escapes what cannot be printed, so that any text is one line.
func doubleQuoted(text string) string {
	var line strings.Builder
	line.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"', r == '\\':
			line.WriteByte('\\')
			line.WriteRune(r)
		case r == '\n':
			line.WriteString(`\n`)
		case r == '\t':
			line.WriteString(`\t`)
		case strconv.IsPrint(r):
			line.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&line, `\x%02X`, r)
		case r < 0x10000:
			fmt.Fprintf(&line, `\u%04X`, r)
		default:
			fmt.Fprintf(&line, `\U%08X`, r)
		}
	}
	line.WriteByte('"')
	return line.String()
}
