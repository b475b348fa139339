package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

func (p *program) simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "simulate", Short: "Run recorded or made-up jobs through the planner on imagined machines",
		Long: "Runs recorded or made-up jobs through the planner that the daemon uses, on imagined machines in imagined time,\n" +
			"and says how well it went. Needs no daemon and touches none. docs/simulate.md says what each figure means.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "there is no simulation %q", args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(p.fragmentationCommand(), p.replayCommand(), p.policiesCommand())
	return cmd
}

func (p *program) policiesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "policies", Short: "List the policies that can be simulated", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			width := 0
			for _, d := range policy.Known() {
				width = max(width, len(d.Name))
			}
			for _, d := range policy.Known() {
				about := d.About
				if d.Oracle {
					about = "(oracle) " + about
				}
				fmt.Fprintf(p.out, "%-*s  %s\n", width, d.Name, about)
			}
			return nil
		},
	}
}

// completePolicies offers the names of policies to the shell.
func completePolicies(cmd *cobra.Command) {
	var names []string
	for _, d := range policy.Known() {
		names = append(names, d.Name+"\t"+d.About)
	}
	_ = cmd.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // only fails if the flag is not there
}

// readTrace opens a file (- is standard input) and has it read. What of it could not be read is told on stderr.
func readTrace[T any](p *program, path, what string, read func(io.Reader) ([]T, trace.Report, error)) ([]T, error) {
	in := p.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, unreadable(what, path, err)
		}
		defer file.Close()
		in = file
	}
	list, report, err := read(in)
	var refusal *nexus.Error
	switch {
	case errors.As(err, &refusal):
		return nil, &nexus.Error{Code: refusal.Code, Message: path + ": " + refusal.Message, Hint: refusal.Hint}
	case err != nil:
		return nil, unreadable(what, path, err)
	}
	for _, line := range report.Lines() {
		fmt.Fprintf(p.err, "note: %s: %s\n", clean(path), clean(line))
	}
	if len(list) == 0 {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%s: there is nothing in the %s", path, what)}
	}
	return list, nil
}

func unreadable(what, path string, err error) error {
	e := &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the %s %s cannot be read: %s", what, path, err)}
	var inner *os.PathError
	if errors.As(err, &inner) {
		e.Message = fmt.Sprintf("the %s %s cannot be read: %s", what, path, inner.Err)
	}
	if errors.Is(err, os.ErrNotExist) {
		e.Message, e.Hint = fmt.Sprintf("there is no %s %s", what, path), "docs/simulate.md says where public traces are to be had"
	}
	return e
}

// bar shows on a terminal how much of a run is done, on stderr. The function it returns takes the bar away.
func (p *program) bar(what string) (progress func(done, total int), end func()) {
	f, ok := p.err.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	s := &screen{out: p.err, terminal: true, safe: clean, width: func() int {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			return w
		}
		return 80
	}}
	const cells = 30
	return func(done, total int) {
		full := done * cells / total
		s.show(fmt.Sprintf("%s [%s%s] %3d %%", what, strings.Repeat("=", full), strings.Repeat(" ", cells-full), done*100/total))
	}, func() { s.show("") }
}

// printJSON prints a value as the one JSON object that stdout is.
func (p *program) printJSON(value any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}
