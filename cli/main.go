package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ainexus.io/nexus"
)

// Main runs the command line that args are, the program's name first, and returns the exit code.
func Main(args []string) int {
	p := &program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv, environ: os.Environ, getwd: os.Getwd,
		terminal: term.IsTerminal(int(os.Stdout.Fd())),
	}
	if len(args) > 1 {
		if verb, ok := p.direct(args[1:]); ok {
			return p.finish(verb(args[2:]))
		}
	}
	root := p.tree()
	if len(args) > 0 {
		root.SetArgs(args[1:])
	}
	return p.finish(root.ExecuteContext(context.Background()))
}

// program is one run of the command line: what it was started with, and its global flags.
type program struct {
	in       io.Reader
	out, err io.Writer
	lookup   func(string) (string, bool)
	environ  func() []string
	getwd    func() (string, error)
	terminal bool // out is one

	state, addr string // --state, --addr
	at          string // --context
	output      string // -o
}

func (p *program) getenv(key string) string {
	value, _ := p.lookup(key)
	return value
}

// stateDir is where the daemon of this user keeps everything: --state, NEXUS_STATE, XDG_STATE_HOME/nexus or
// ~/.local/state/nexus.
func (p *program) stateDir() (string, error) {
	dir := p.state
	if dir == "" {
		dir = p.getenv("NEXUS_STATE")
	}
	if dir == "" && filepath.IsAbs(p.getenv("XDG_STATE_HOME")) {
		dir = filepath.Join(p.getenv("XDG_STATE_HOME"), "nexus")
	}
	if dir == "" {
		home := p.getenv("HOME")
		if home == "" {
			return "", &nexus.Error{Code: nexus.CodeInvalid, Message: "there is no HOME to keep state in",
				Hint: "set NEXUS_STATE to a directory of your own"}
		}
		dir = filepath.Join(home, ".local", "state", "nexus")
	}
	return filepath.Abs(dir)
}

// tree is the commands as cobra wants them.
func (p *program) tree() *cobra.Command {
	root := &cobra.Command{
		Use:   "nexus",
		Short: "Runs GPU jobs: schedules, launches, watches and explains them",
		Long: "AI-Nexus runs GPU jobs: it schedules them, launches their workers, watches them and explains why they wait.\n\n" +
			"  nexus run job.yaml     run a job here and follow it",
		Args:              p.unknownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetIn(p.in)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%s", err) })
	root.PersistentFlags().StringVar(&p.state, "state", "", "directory of the daemon's state (default $NEXUS_STATE, else $XDG_STATE_HOME/nexus)")
	root.PersistentFlags().StringVar(&p.addr, "addr", "", "talk to the daemon at this host:port or URL instead, with $NEXUS_TOKEN (default $NEXUS_ADDR)")
	root.PersistentFlags().StringVar(&p.at, "context", "", "speak to this place: local, kube, or kube:NAME of the kubeconfig (default $NEXUS_CONTEXT, else what nexus context use says)")
	root.AddCommand(
		p.runCommand(), p.submitCommand(), p.psCommand(), p.whyCommand(), p.logsCommand(), p.waitCommand(), p.attachCommand(),
		p.checkpointsCommand(), p.execCommand(), p.cancelCommand(), p.holdCommand(), p.releaseCommand(), p.requeueCommand(), p.prioCommand(),
		p.nodesCommand(), p.queuesCommand(), p.historyCommand(), p.renderCommand(), p.doctorCommand(), p.batchSizeCommand(), p.simulateCommand(),
		p.contextCommand(), p.upCommand(), p.controllerCommand(), p.nodeAgentCommand(), p.openCommand(), p.tokenCommand(), p.healthCommand(), p.versionCommand(), p.launchCommand(),
	)
	return root
}

// unknownCommand refuses what is no command, with what was meant perhaps.
func (p *program) unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := "nexus help lists the commands"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean nexus " + near[0] + "?"
	}
	return &exit{code: exitUsage, err: &nexus.Error{Code: nexus.CodeInvalid, Message: "there is no command " + quote(args[0]), Hint: hint}}
}

// release is this program's version: the module's, or the commit that it was built from.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
