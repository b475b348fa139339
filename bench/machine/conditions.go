package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Python is the interpreter that Debian's python3-torch belongs to; another python3 may come first on the PATH.
const Python = "/usr/bin/python3"

// Fact is one condition of a run.
type Fact struct{ Name, Value string }

// String is "name: value".
func (f Fact) String() string { return f.Name + ": " + f.Value }

// Describe tells what this machine is and what is installed on it. What cannot be found out is told as such.
func Describe(ctx context.Context) []Fact { return append(Conditions(ctx), torch(ctx)...) }

// Conditions is Describe without what only peers need.
func Conditions(ctx context.Context) []Fact {
	return []Fact{
		{"date", time.Now().UTC().Format(time.RFC3339)},
		{"cpu", field("/proc/cpuinfo", "model name")},
		{"cores", fmt.Sprint(runtime.NumCPU())},
		{"memory", field("/proc/meminfo", "MemTotal")},
		{"kernel", output(ctx, "uname", "-srm")},
		{"go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		Load("load before"),
	}
}

// Load is the load average of now: over 1, 5 and 15 minutes, running and existing threads.
func Load(name string) Fact {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return Fact{name, "unknown: " + err.Error()}
	}
	words := strings.Fields(string(text))
	return Fact{name, strings.Join(words[:min(4, len(words))], " ")}
}

// torch asks PyTorch for its version, and which BLAS it really computes with: the alternatives system may have put
// another library in the place of the one it was built for.
func torch(ctx context.Context) []Fact {
	const ask = `import re, torch
built = re.search(r"\bBLAS_INFO=(\w+)", torch.__config__.show())
torch.ones(2, 2).mm(torch.ones(2, 2))
used = sorted({l.split()[-1] for l in open("/proc/self/maps") if "blas" in l.split()[-1].lower()})
print(torch.__version__)
print("built for", built[1] if built else "?", "using", *used or ["its own"])
`
	told := output(ctx, Python, "-c", ask)
	version, blas, _ := strings.Cut(told, "\n")
	return []Fact{{"torch", version}, {"torch's BLAS", blas}}
}

// field is the value of the first line of a file such as /proc/cpuinfo with that name.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown: " + err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if before, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(before) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown: " + err.Error()
	}
	return strings.TrimSpace(string(out))
}
