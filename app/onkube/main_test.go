package onkube

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ainexus.io/app"
)

// envController has the test's program be a controller instead, which can be killed: KUBECONFIG, namespace, and for how long it
// leases; 0: it is alone.
const envController = "NEXUS_TEST_CONTROLLER"

func TestMain(m *testing.M) {
	if os.Getenv(envWorker) != "" {
		train()
	}
	if words := strings.Fields(os.Getenv(envController)); len(words) == 3 {
		fmt.Fprintln(os.Stderr, beController(words[0], words[1], words[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// beController controls until somebody kills it, or another may lead.
func beController(kubeconfig, space, leased string) error {
	opts := storyOptions(space)
	opts.Kubeconfig, opts.Image, opts.LauncherImage, opts.Backoff = kubeconfig, "none", "none", 100*time.Millisecond
	opts.Policed = []string{space}
	var err error
	if opts.LeaseDuration, err = time.ParseDuration(leased); err != nil {
		return err
	}
	opts.Alone = opts.LeaseDuration == 0
	opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	c, err := app.NewController(opts)
	if err != nil {
		return err
	}
	c.Start()
	<-c.Lost()
	return c.Stop()
}

// child starts a controller that is a process of its own. It ends with t at the latest.
func child(t *testing.T, kubeconfig, space string, leased time.Duration) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), envController+"="+kubeconfig+" "+space+" "+leased.String())
	c.Stderr = t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended before
		_ = c.Wait()
	})
	return c
}
