// Package jobfile reads and writes the job file: bytes in, a whole [nexus.Spec] or every mistake at once out.
//
// A document travels down the files of this package:
//
//	document.go   text (YAML or JSON) -> nodes with lines and columns; syntax.go words what YAML refuses
//	kube.go       the Kubernetes form is unwrapped to the same fields
//	set.go        --set arguments change the nodes
//	decode.go     nodes -> Spec by the json tags of nexus.Spec, strictly; suggest.go guesses what was meant
//	default.go    what was not said is filled in
//	check.go      what belongs together is checked; names.go knows what a name may look like
//	render.go     Spec -> YAML that reads back as the same Spec
//	explain.go    errors -> lines for people
//
// Every mistake is a [nexus.Error] with its field and its place; they come in the order of the document.
// Messages quote what the user wrote with control characters escaped, and shortened. Values of env are
// never quoted: they may be secrets.
//
// What a fleet can or cannot run is left to the place: this package knows no machine.
package jobfile
