package launch

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

// bare is a launcher of its own: nexus launch without its command line. Its last words on stderr are the most memory that it has had.
func bare(words []string) {
	opts := Options{
		Command: nexus.Command{Argv: []string{"sh", "-c", words[2]}}, Workers: 2, Dir: "/", Env: os.Environ(), Keeper: keeperArgv(), RunID: "run",
		LogDir: words[1], LogSize: 8 << 20, Stdout: os.Stdout, Stderr: os.Stderr, Terminal: words[0] == "terminal",
	}
	switch words[0] {
	case "files":
		opts.Redirects, _ = ParseStd("3")
	case "terminal":
		opts.LogSize = -1
	}
	result, err := Run(context.Background(), opts)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			fmt.Fprint(os.Stderr, line)
		}
	}
	if err == nil && !result.OK {
		err = fmt.Errorf("%+v", result)
	}
	exit(err)
}

// runBare runs it and hands its stdout to read. It returns the peak of its memory in MiB, and all that it said on stderr.
func runBare(t *testing.T, how, logs, line string, read func(io.Reader)) (peak int, said string) {
	t.Helper()
	cmd := exec.Command(keeperArgv()[0], "bare", how, logs, line)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read(out)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", how, err, stderr.String())
	}
	_, last, ok := strings.Cut(stderr.String(), "VmHWM:")
	kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(last), " kB"))
	if !ok || err != nil {
		t.Fatalf("%s does not tell its memory: %q", how, stderr.String())
	}
	t.Logf("%s: %d MiB at most, %s", how, kib>>10, time.Since(began).Round(time.Millisecond))
	return kib >> 10, stderr.String()
}

// Two workers that write as fast as they can cost the launcher no more memory than two that are silent, whoever reads: nobody, a
// terminal that stands still, a pipe.
func TestAFloodOfOutputTakesNoMemory(t *testing.T) {
	const (
		lines = 2_000_000                                                              // of 54 bytes: 108 MB from each of the two
		flood = `yes 'a line of output that says little and says it often' | head -n ` // 53 bytes and an end
	)
	all := func(r io.Reader) { io.Copy(io.Discard, r) }
	quiet, _ := runBare(t, "files", t.TempDir(), "echo hello", all)
	const more = 10 // MiB: pipes, two buffers of 256 KiB, and what the collector has not looked at

	logs := t.TempDir()
	if peak, _ := runBare(t, "files", logs, flood+fmt.Sprint(lines), all); peak > quiet+more {
		t.Errorf("with files: %d MiB, and %d when nothing is written", peak, quiet)
	}
	for rank := range 2 {
		dir := filepath.Join(logs, "run", "attempt_0", fmt.Sprint(rank))
		kept := content(t, dir, "stdout.log.1") + content(t, dir, "stdout.log")
		if len(kept) < 8<<20 || len(kept) > 16<<20 || !strings.HasSuffix(kept, "says it often\n") {
			t.Errorf("of rank %d %d bytes are kept", rank, len(kept))
		}
	}

	// Nobody reads until the workers have written it all: they were not stopped, and the files are whole.
	logs = t.TempDir()
	const some = 200_000
	peak, said := runBare(t, "terminal", logs, fmt.Sprintf(`%s%d; touch "%s/done.$RANK"`, flood, some, logs), func(r io.Reader) {
		eventually(t, 60*time.Second, "the workers are done", func() bool {
			done, _ := filepath.Glob(filepath.Join(logs, "done.*"))
			return len(done) == 2
		})
		shown, _ := io.ReadAll(r)
		said := string(shown)
		if missing := 2*some - strings.Count(said, "says it often"); missing <= 0 || !strings.Contains(said, "lines were not shown: the terminal was too slow for them") {
			t.Errorf("%d lines were not shown, and it says %q", missing, said[max(0, len(said)-200):])
		}
	})
	if peak > quiet+more {
		t.Errorf("with a terminal that stands still: %d MiB, and %d when nothing is written\n%s", peak, quiet, said)
	}
	for rank := range 2 {
		if kept := content(t, logs, "run", "attempt_0", fmt.Sprint(rank), "stdout.log"); strings.Count(kept, "\n") != some {
			t.Errorf("of rank %d %d lines are kept", rank, strings.Count(kept, "\n"))
		}
	}

	// A pipe gets every line, whatever that takes.
	peak, _ = runBare(t, "pipe", t.TempDir(), flood+fmt.Sprint(some), func(r io.Reader) {
		if shown, _ := io.ReadAll(r); strings.Count(string(shown), "\n") != 2*some {
			t.Errorf("%d lines of %d came", strings.Count(string(shown), "\n"), 2*some)
		}
	})
	if peak > quiet+more {
		t.Errorf("with a pipe: %d MiB, and %d when nothing is written", peak, quiet)
	}
}

// What is kept and shown of two workers is what torchrun 1.13 was seen to keep and show, where it runs at all (Debian's fails on 3),
// and what its sources say else: what is teed is kept and shown, what is redirected is kept, and the rest is shown.
func TestTeeAndRedirectAreTorchruns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ redirects, tee, want string }{
		{"0:1", "1:2", "0 stdout: kept\n0 stderr: shown\n1 stdout: shown\n1 stderr: kept shown\n"},             // seen
		{"1", "2", "0 stdout: kept\n0 stderr: kept shown\n1 stdout: kept\n1 stderr: kept shown\n"},             // seen
		{"9:1", "9:1", "0 stdout: shown\n0 stderr: shown\n1 stdout: shown\n1 stderr: shown\n"},                 // seen
		{"3", "0:1", "0 stdout: kept shown\n0 stderr: kept\n1 stdout: kept\n1 stderr: kept\n"},                 // by its sources
		{"0", "3", "0 stdout: kept shown\n0 stderr: kept shown\n1 stdout: kept shown\n1 stderr: kept shown\n"}, // by its sources
	} {
		redirects, err := ParseStd(test.redirects)
		tee, err2 := ParseStd(test.tee)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		var out, errs strings.Builder
		logs := t.TempDir()
		result, err := Run(t.Context(), Options{
			Command: nexus.Command{Shell: "echo said $RANK; echo cried $RANK >&2"}, Workers: 2, Dir: t.TempDir(), RunID: "run", LogDir: logs,
			Redirects: redirects, Tee: tee, Keeper: keeperArgv(), Stdout: &out, Stderr: &errs,
		})
		if err != nil || !result.OK {
			t.Fatalf("%+v %v", result, err)
		}
		var got strings.Builder
		for rank := range 2 {
			for _, stream := range []struct{ name, text, screen string }{
				{"stdout", fmt.Sprint("said ", rank, "\n"), out.String()}, {"stderr", fmt.Sprint("cried ", rank, "\n"), errs.String()},
			} {
				fmt.Fprintf(&got, "%d %s:", rank, stream.name)
				if kept, _ := os.ReadFile(filepath.Join(logs, "run", "attempt_0", fmt.Sprint(rank), stream.name+".log")); string(kept) == stream.text {
					got.WriteString(" kept")
				}
				if strings.Contains(stream.screen, stream.text) {
					got.WriteString(" shown")
				}
				got.WriteString("\n")
			}
		}
		if got.String() != test.want {
			t.Errorf("-r %s -t %s:\n%s", test.redirects, test.tee, got.String())
		}
	}
}
