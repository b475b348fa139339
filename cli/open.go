package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "token", Short: "Print the token that requests over TCP must carry", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			token, err := p.ownToken()
			if err != nil {
				return err
			}
			return p.print(clean(token))
		},
	}
}

// ownToken is the token of this machine's daemon.
func (p *program) ownToken() (string, error) {
	state, err := p.stateDir()
	if err != nil {
		return "", err
	}
	token, err := readToken(state)
	if os.IsNotExist(err) {
		return "", &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no token yet: no daemon has run with the state directory " + state,
			Hint: "start one: nexus up"}
	}
	if err != nil {
		return "", stateTrouble("reading the token", err)
	}
	return token, nil
}

func (p *program) openCommand() *cobra.Command {
	return &cobra.Command{
		Use: "open", Short: "Open the page in a browser, or print its address where there is none", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := p.pageAddress(cmd.Context())
			if err != nil {
				return err
			}
			// What follows # is not sent over the network: the page reads it and takes it out of the address.
			if err := p.print(clean(address)); err != nil || !p.terminal {
				return err
			}
			return p.browse(address)
		},
	}
}

// pageAddress is where the page is, with the token.
func (p *program) pageAddress(ctx context.Context) (string, error) {
	if _, cluster, err := p.cluster(); err != nil || cluster {
		if err == nil {
			err = &nexus.Error{Code: nexus.CodeConflict, Message: "a cluster has no page of ours", Hint: "nexus --context local open shows this machine's"}
		}
		return "", err
	}
	client, err := p.daemon(ctx)
	if err != nil {
		return "", err
	}
	base, token := "http://"+p.remote(), p.getenv("NEXUS_TOKEN")
	if strings.Contains(p.remote(), "://") {
		base = p.remote()
	}
	if p.remote() == "" {
		var daemon api.Version
		if daemon, err = client.Version(ctx); err != nil {
			return "", err
		}
		if daemon.Addr == "" {
			return "", &nexus.Error{Code: nexus.CodeUnavailable, Message: "the daemon serves no page: its port was taken when it started",
				Hint: "free the port, or start the daemon with another: nexus up --listen 127.0.0.1:8001"}
		}
		base = "http://" + daemon.Addr
		if token, err = p.ownToken(); err != nil {
			return "", err
		}
	}
	return strings.TrimRight(base, "/") + "/#token=" + token, nil
}

// browse asks the desktop, where there is one. That there is none is no error: the address was printed.
func (p *program) browse(address string) error {
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	} else if p.getenv("DISPLAY") == "" && p.getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	path, err := exec.LookPath(opener)
	if err != nil {
		return nil
	}
	cmd := exec.Command(path, address)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", opener, err)
	}
	return cmd.Process.Release()
}
