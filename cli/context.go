package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ainexus.io/app"
	"ainexus.io/nexus"
)

// The names of contexts: this machine's daemon, a cluster by the current context of the kubeconfig, and by another.
const (
	contextLocal = "local"
	contextKube  = "kube"
	kubePrefix   = contextKube + ":"
)

// settings is the user's config file.
type settings struct {
	// Context is where commands go that say nothing else.
	Context string `json:"context,omitempty"`
}

// settingsPath is $XDG_CONFIG_HOME/nexus/config.json, or ~/.config/nexus/config.json; empty where there is no home.
func (p *program) settingsPath() string {
	dir := p.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home := p.getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "nexus", "config.json")
}

func (p *program) settings() (settings, error) {
	var s settings
	path := p.settingsPath()
	if path == "" {
		return s, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return s, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the config file %s cannot be read: %s", path, err), Hint: "nexus context use local writes it anew, once it is deleted"}
	}
	return s, nil
}

// context is where commands go, and who said so: --context, an address or state directory that is named, NEXUS_CONTEXT,
// NEXUS_ADDR, the config file, this machine.
func (p *program) context() (name, said string, err error) {
	switch {
	case p.at != "":
		name, said = p.at, "--context"
	case p.addr != "":
		return contextLocal, "--addr", nil
	case p.state != "":
		return contextLocal, "--state", nil
	case p.getenv("NEXUS_CONTEXT") != "":
		name, said = p.getenv("NEXUS_CONTEXT"), "NEXUS_CONTEXT"
	case p.getenv("NEXUS_ADDR") != "":
		return contextLocal, "NEXUS_ADDR", nil
	default:
		s, err := p.settings()
		if err != nil {
			return "", "", err
		}
		name, said = s.Context, p.settingsPath()
	}
	if name == "" {
		return contextLocal, "", nil
	}
	if name != contextLocal && name != contextKube && !strings.HasPrefix(name, kubePrefix) {
		return "", "", &exit{code: exitUsage, err: &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%s: there is no context %q", said, name),
			Hint: "local, kube, or kube:NAME for a context of the kubeconfig; nexus context lists them"}}
	}
	return name, said, nil
}

// cluster is which cluster is meant, if one is.
func (p *program) cluster() (app.Reach, bool, error) {
	name, _, err := p.context()
	if err != nil || name == contextLocal {
		return app.Reach{}, false, err
	}
	reach := p.kubeconfig()
	reach.Context = strings.TrimPrefix(strings.TrimPrefix(name, contextKube), ":")
	return reach, true, nil
}

// kubeconfig is where kubectl looks.
func (p *program) kubeconfig() app.Reach {
	path := p.getenv("KUBECONFIG")
	if home := p.getenv("HOME"); path == "" && home != "" {
		path = filepath.Join(home, ".kube", "config")
	}
	return app.Reach{Kubeconfig: path}
}

func (p *program) onCluster(reach app.Reach) (place, error) { return app.Cluster(reach) }

func (p *program) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "context", Aliases: []string{"ctx"}, Short: "List where commands can go: this machine, or a Kubernetes cluster",
		Long: "Commands go to the daemon of this machine, unless a cluster is in use: then they are NexusJobs in the namespace of the\n" +
			"kubeconfig, by your own rights there. kube is the kubeconfig's current context, kube:NAME another one.",
		Example: "  nexus context use kube\n  nexus --context local ps",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "%q is neither list, show nor use", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return p.listContexts() },
	}
	list := &cobra.Command{Use: "list", Short: "List where commands can go", Args: noArgs, RunE: func(*cobra.Command, []string) error { return p.listContexts() }}
	show := &cobra.Command{Use: "show", Short: "Print where commands go", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		name, _, err := p.context()
		if err != nil {
			return err
		}
		return p.print(clean(name))
	}}
	cmd.AddCommand(list, show, p.useContextCommand())
	return cmd
}

func (p *program) listContexts() error {
	current, said, err := p.context()
	if err != nil {
		return err
	}
	rows := [][]string{{"", contextLocal, "the daemon of this machine"}}
	known, err := app.Clusters(p.kubeconfig())
	if err != nil {
		fmt.Fprintln(p.err, "note: "+clean(err.Error()))
	}
	for _, k := range known {
		where := fmt.Sprintf("namespace %s at %s", k.Namespace, k.Server)
		if k.Current {
			rows = append(rows, []string{"", contextKube, where})
		}
		rows = append(rows, []string{"", kubePrefix + k.Name, where})
	}
	for i := range rows {
		if rows[i][1] == current {
			rows[i][0] = "*"
		}
	}
	if err := table(p.out, []string{"IN USE", "CONTEXT", "WHERE"}, rows); err != nil {
		return err
	}
	if said != "" {
		fmt.Fprintf(p.err, "note: %s is in use by %s\n", clean(current), clean(said))
	}
	return nil
}

func (p *program) useContextCommand() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Send commands there from now on",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "which context?")
			}
			return nil
		},
		ValidArgs: []string{contextLocal, contextKube},
		RunE: func(_ *cobra.Command, args []string) error {
			asked := *p
			asked.at = args[0]
			reach, cluster, err := asked.cluster()
			if err != nil {
				return err
			}
			where := "the daemon of this machine"
			if cluster {
				c, err := app.Cluster(reach) // a name that the kubeconfig does not know is refused
				if err != nil {
					return err
				}
				where = c.Where()
			}
			if err := p.keep(settings{Context: args[0]}); err != nil {
				return err
			}
			return p.print(clean("commands go to " + where))
		},
	}
}

// keep writes the config file, whole or not at all.
func (p *program) keep(s settings) error {
	path := p.settingsPath()
	if path == "" {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "there is no HOME to keep the context in", Hint: "set NEXUS_CONTEXT instead"}
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path+".new", append(data, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("writing the config file: %w", err)
	}
	return nil
}
