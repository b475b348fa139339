package charttest

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// builder is buildah with a storage of the test's own.
type builder struct {
	t       *testing.T
	program string
	dir     string
}

func (b *builder) run(args ...string) string {
	b.t.Helper()
	all := append([]string{"--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run"), "--storage-driver", "vfs"}, args...)
	c := exec.Command(b.program, all...)
	var out, bad bytes.Buffer
	c.Stdout, c.Stderr = &out, &bad
	if err := c.Run(); err != nil {
		b.t.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), bad.String())
	}
	return strings.TrimSpace(out.String())
}

// base makes an image of these files of this machine (where: from where) and these texts.
func (b *builder) base(name string, files, texts map[string]string, env ...string) {
	b.t.Helper()
	context := b.t.TempDir()
	place := func(where string, mode os.FileMode, text []byte) {
		path := filepath.Join(context, "root", where)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			b.t.Fatal(err)
		}
	}
	for where, from := range files {
		text, err := os.ReadFile(from)
		if err != nil {
			b.t.Fatal(err)
		}
		place(where, 0o755, text)
	}
	for where, text := range texts {
		place(where, 0o755, []byte(text))
	}
	if err := os.MkdirAll(filepath.Join(context, "root", "tmp"), 0o777); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(context, "root", "tmp"), 0o1777); err != nil {
		b.t.Fatal(err)
	}
	file := "FROM scratch\nCOPY root /\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n"
	for _, e := range env {
		file += "ENV " + e + "\n"
	}
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(file), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.run("bud", "--isolation", "chroot", "--pull-never", "-t", name, context)
}

// goEnv is a setting of the Go that runs the test.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// The Dockerfile is built on stand-ins for its bases, of busybox, this machine's Go and its C library, and what comes out
// is run as Kubernetes and compose would: user 1000, a root that cannot be written. The real bases were not built on.
func TestTheImage(t *testing.T) {
	b := &builder{t: t, program: program(t, "buildah"), dir: t.TempDir()}
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: only root can build an image here")
	}
	busybox := program(t, "busybox")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	certificates := "/etc/ssl/certs/ca-certificates.crt"
	settings := []string{"PATH=/usr/local/go/bin:/bin", "HOME=/tmp", "GOMODCACHE=/gomod", "GOCACHE=/gocache", "GOTOOLCHAIN=local"}
	for _, name := range []string{"GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOFLAGS"} {
		if value := goEnv(t, name); value != "" {
			settings = append(settings, fmt.Sprintf("%s=%q", name, value))
		}
	}
	b.base("localhost/go:1", map[string]string{"bin/busybox": busybox, certificates: certificates}, nil, settings...)
	libraries := map[string]string{"bin/busybox": busybox}
	for where := range linked(t, filepath.Join(t.TempDir(), "nexus"), root) {
		libraries[where] = where
	}
	b.base("localhost/cuda:1", libraries, map[string]string{
		"sbin/ldconfig": "#!/bin/sh\necho '	libnccl.so.2 (libc6) => /stand-in'\n", "etc/passwd": "root:x:0:0::/:/bin/sh\nubuntu:x:1000:1000::/tmp:/bin/sh\n",
	}, "PATH=/usr/local/bin:/sbin:/bin")

	begun := time.Now()
	b.run("bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "-f", filepath.Join(root, "deploy", "docker", "Dockerfile"),
		"--build-arg", "GO_BASE=localhost/go:1", "--build-arg", "RUNTIME_BASE=localhost/cuda:1",
		"-v", goEnv(t, "GOROOT")+":/usr/local/go:ro", "-v", goEnv(t, "GOMODCACHE")+":/gomod", "-v", goEnv(t, "GOCACHE")+":/gocache",
		"-t", "localhost/nexus:1", root)
	t.Logf("the image was built in %s", time.Since(begun).Round(time.Second))
	var image struct {
		Docker struct {
			Config struct {
				User                 string
				Env, Entrypoint, Cmd []string
				ExposedPorts         map[string]any
				Healthcheck          struct{ Test []string }
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(b.run("inspect", "--type", "image", "localhost/nexus:1")), &image); err != nil {
		t.Fatal(err)
	}
	c := image.Docker.Config
	if c.User != "1000:1000" || !slices.Equal(c.Entrypoint, []string{"nexus"}) || !slices.Equal(c.Healthcheck.Test, []string{"CMD", "nexus", "health", "--gpu=auto"}) {
		t.Errorf("the image says %+v", c)
	}
	for _, port := range []string{"8000/tcp", "9090/tcp", "29500/tcp"} {
		if _, ok := c.ExposedPorts[port]; !ok {
			t.Errorf("it does not say port %s", port)
		}
	}
	container := b.run("from", "--pull-never", "localhost/nexus:1")
	mounted := b.run("mount", container)
	t.Cleanup(func() { b.run("umount", container); b.run("rm", container) })
	static(t, filepath.Join(mounted, "nexus"))
	if _, err := os.Stat(filepath.Join(mounted, "src")); err == nil {
		t.Error("the image has the sources in it")
	}
	out := readOnly(t, mounted, c.Env, `
set -e
nexus health --no-daemon --gpu=auto
test "$(id -u)" = 1000
if touch /usr/local/bin/x 2>/dev/null; then echo "the root can be written"; exit 1; fi
/nexus copy-to /tmp/launcher
/tmp/launcher version
NEXUS_LISTEN=none nexus up --no-gpus 2>/tmp/log &
daemon=$!
i=0
until nexus health --gpu=auto 2>/dev/null; do
	i=$((i + 1))
	if [ $i = 300 ]; then cat /tmp/log; exit 1; fi
	sleep 0.2
done
printf 'run: echo trained\n' >/tmp/job.yaml
nexus run /tmp/job.yaml
kill $daemon
`)
	if !strings.Contains(out, "ready; no GPU here") || !strings.Contains(out, "trained") {
		t.Errorf("in the image:\n%s", out)
	}
}

// linked builds the program and gives the libraries that it wants loaded.
func linked(t *testing.T, program, root string) map[string]bool {
	t.Helper()
	build := exec.Command("go", "build", "-o", program, "./cmd/nexus")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil {
		t.Fatalf("ldd: %v\n%s", err, out)
	}
	found := map[string]bool{}
	for _, path := range regexp.MustCompile(`/\S+\.so\S*`).FindAllString(string(out), -1) {
		found[path] = true
	}
	return found
}

// static wants a program that needs no loader.
func static(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s needs a loader", path)
		}
	}
	if f.Machine != map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH] {
		t.Errorf("%s is for %s", path, f.Machine)
	}
}

// readOnly runs a shell script in the image as user 1000 with a root that cannot be written, in a namespace of its own.
func readOnly(t *testing.T, root string, env []string, script string) string {
	t.Helper()
	c := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-ec", `
mkdir -p "$1/proc" "$1/dev"
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
mount -t tmpfs -o uid=1000,gid=1000,mode=700 tmpfs "$1/var/lib/nexus"
mount -o remount,bind,ro "$1"
exec chroot --userspec=1000:1000 "$1" sh -c "$2"
`, "sh", root, script)
	c.Env = env
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("in the image: %v\n%s", err, out)
	}
	return string(out)
}

// compose starts what the image holds, closed down as the pods of the chart are, and a GPU only where one is meant.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Image, User string
			ReadOnly    bool     `json:"read_only"`
			CapDrop     []string `json:"cap_drop"`
			SecurityOpt []string `json:"security_opt"`
			Ports       []string
			Profiles    []string
			Deploy      struct {
				Resources struct {
					Reservations struct {
						Devices []struct {
							Driver, Count string
							Capabilities  []string
						}
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		if s.User != "1000:1000" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not closed down: %+v", name, s)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is open to others: %s", name, p)
			}
		}
	}
	devices := file.Services["gpu"].Deploy.Resources.Reservations.Devices
	if len(devices) != 1 || devices[0].Driver != "nvidia" || devices[0].Count != "all" || !slices.Equal(devices[0].Capabilities, []string{"gpu"}) {
		t.Errorf("gpu reserves %+v", devices)
	}
	if cpu := file.Services["cpu"]; !slices.Equal(cpu.Profiles, []string{"cpu"}) || len(cpu.Deploy.Resources.Reservations.Devices) != 0 {
		t.Errorf("cpu is %+v", cpu)
	}
}

// The context of a build holds every directory of the product, so that a new room is not forgotten.
func TestTheContextHoldsTheProduct(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./cmd/nexus")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	ignored := read(t, ".dockerignore")
	for _, path := range strings.Fields(string(out)) {
		if rest, ok := strings.CutPrefix(path, "ainexus.io/"); ok {
			if room, _, _ := strings.Cut(rest, "/"); !strings.Contains(ignored, "\n!"+room+"\n") {
				t.Errorf(".dockerignore leaves out %s", room)
			}
		}
	}
}
