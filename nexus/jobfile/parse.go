package jobfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// MaxSize is the most bytes that a job file may have, and the most that its aliases may expand to.
const MaxSize = 1 << 20

// maxErrors is where reading stops to collect mistakes.
const maxErrors = 100

// Options say how a document is read. The zero value is right for a body that has no name.
type Options struct {
	// Name is what messages about the document as a whole call it ("job.yaml"). Default: "the job".
	Name string
	// Set are arguments "path=value" as --set takes them, applied in order before anything is checked.
	Set []string
}

// Notice tells of a field that was understood and has no effect on this machine.
type Notice struct {
	// Field is its path ("image"); Message is one line that begins with it.
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Parse reads a job file as YAML or JSON and returns it with all defaults filled in. The error is
// [nexus.Errors] with everything that is wrong, in the order of the document; mistakes of --set come last.
func Parse(data []byte, opts Options) (nexus.Spec, []Notice, error) {
	d := newDocument(cmp.Or(opts.Name, "the job"))
	spec := defaults()
	if d.load(data); d.fields != nil {
		d.apply(opts.Set)
		d.read(d.fields, &spec)
		d.complete(&spec)
		d.check(&spec)
	}
	if errs := d.errors(); len(errs) > 0 {
		return nexus.Spec{}, nil, errs
	}
	return spec, notices(&spec), nil
}

func newDocument(name string) *document {
	return &document{
		name:   clean(name),
		set:    map[*yaml.Node]int{},
		given:  map[string]*yaml.Node{},
		broken: map[string]bool{},
		meant:  map[string]bool{},
		left:   2 * MaxSize,
	}
}

// A document is a job file on its way to a Spec.
type document struct {
	name   string
	fields *yaml.Node // the mapping that holds the fields of the Spec; nil where there is none to read
	title  string     // metadata.name of the Kubernetes form

	args  []argument         // --set
	set   map[*yaml.Node]int // nodes that an argument brought, with its index
	given map[string]*yaml.Node
	// broken are paths that are already complained about: what depends on them is not judged.
	broken map[string]bool
	// meant are paths that an unknown field may stand for: nobody needs to hear that they are missing.
	meant  map[string]bool
	other  bool // it is no job: what only a job file knows means nothing in it
	left   int  // what may still be read before aliases are called a bomb
	faults []fault
}

// A fault is a mistake with what orders it.
type fault struct {
	err *nexus.Error
	arg int // index of the --set argument, or -1
}

// blame notes a mistake at a node; text does not name the field, unless it is the field that is unknown.
func (d *document) blame(n *yaml.Node, field, text, hint string) {
	if len(d.faults) >= maxErrors {
		return
	}
	e := &nexus.Error{Code: nexus.CodeInvalid, Message: text, Hint: hint, Field: field}
	arg, brought := d.set[n]
	if !brought {
		arg = -1
		if n != nil {
			e.Line, e.Column = n.Line, n.Column
		}
	} else {
		e.Message = "--set " + d.args[arg].path + ": " + text
	}
	d.faults = append(d.faults, fault{e, arg})
}

// wrong notes that the value of a field is wrong.
func (d *document) wrong(n *yaml.Node, field, text, hint string) {
	d.broken[field] = true
	if arg, brought := d.set[n]; field != "" && (!brought || d.args[arg].path != field) {
		text = field + between(text) + text
	}
	d.blame(n, field, text, hint)
}

// between joins a field to what is said of it.
func between(text string) string {
	for _, verb := range []string{"is ", "has ", "holds ", "wants "} {
		if strings.HasPrefix(text, verb) {
			return " "
		}
	}
	return ": "
}

// at finds the node that a field was given by, else the nearest one around it.
func (d *document) at(field string) *yaml.Node {
	for field != "" {
		if n := d.given[field]; n != nil {
			return n
		}
		field = parent(field)
	}
	return d.fields
}

// judged reports whether nothing is known to be wrong with the fields or what they are part of.
func (d *document) judged(fields ...string) bool {
	for _, field := range fields {
		if d.meant[field] && d.given[field] == nil {
			return false
		}
		for ; field != ""; field = parent(field) {
			if d.broken[field] {
				return false
			}
		}
	}
	return true
}

// errors returns the mistakes in the order of the document, the arguments' last.
func (d *document) errors() nexus.Errors {
	slices.SortStableFunc(d.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.arg, b.arg), cmp.Compare(a.err.Line, b.err.Line), cmp.Compare(a.err.Column, b.err.Column))
	})
	var errs nexus.Errors
	for _, f := range d.faults {
		errs = append(errs, f.err)
	}
	if len(errs) == maxErrors {
		errs = append(errs, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("only the first %d errors are listed", maxErrors)})
	}
	return errs
}

// parent is the path without its last step: "a" of "a.b", "a[0]" and `a["x"]`.
func parent(field string) string {
	return field[:max(0, strings.LastIndexAny(field, ".["))]
}
