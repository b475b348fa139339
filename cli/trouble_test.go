package cli_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// newer FILE makes the records those of a release that is not out yet; with ! those of this one again.
func newer(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	change := `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`
	if neg {
		change = `DELETE FROM goose_db_version WHERE version_id = 999`
	}
	_, err = db.Exec(change)
	ts.Check(err)
}

// stranger VERB... runs nexus as somebody to whom the state directory is closed, and wants it to fail.
func stranger(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(filepath.Join(built, "nexus"), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=/", "PATH=" + ts.Getenv("PATH"), "NEXUS_STATE=" + ts.Getenv("NEXUS_STATE"), "NEXUS_LISTEN=127.0.0.1:0"}
	if os.Getuid() == 0 {
		ts.Check(os.Chmod(built, 0o755))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else {
		ts.Check(os.Chmod(ts.Getenv("NEXUS_STATE"), 0))
		defer func() { ts.Check(os.Chmod(ts.Getenv("NEXUS_STATE"), 0o700)) }()
	}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	if err := cmd.Run(); err == nil {
		ts.Fatalf("nexus %v is not refused", args)
	} else if cmd.ProcessState == nil {
		ts.Fatalf("nexus %v: %v", args, err)
	}
}

// smallDisk mounts a disk of a few MiB as the state directory, for as long as the story lasts.
func smallDisk(ts *testscript.TestScript, _ bool, _ []string) {
	state := ts.Getenv("NEXUS_STATE")
	ts.Check(os.MkdirAll(state, 0o700))
	ts.Check(mountSmall(state))
	ts.Defer(func() { ts.Check(exec.Command("umount", "-l", state).Run()) })
}

func mountSmall(dir string) error {
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "none", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mounting a small disk: %w: %s", err, out)
	}
	return nil
}

// canMount says whether a small disk can be mounted here. Root in CI is to find out what does not work.
func canMount() bool {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return false
	}
	if os.Getenv("CI") == "true" {
		return true
	}
	dir, err := os.MkdirTemp("", "nexus-disk-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	return mountSmall(dir) == nil && exec.Command("umount", dir).Run() == nil
}
