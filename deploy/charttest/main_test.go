package charttest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	helm "helm.sh/helm/v4/pkg/cmd"
)

// The test program is helm too, under that name: the commands of docs/kubernetes.md are run as they stand there.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "helm" {
		os.Exit(runHelm())
	}
	os.Exit(m.Run())
}

func runHelm() int {
	c, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err == nil {
		err = c.Execute()
	}
	if coded, ok := errors.AsType[helm.CommandError](err); ok {
		return coded.ExitCode
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
