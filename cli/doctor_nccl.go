package cli

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ainexus.io/gpu"
	"ainexus.io/launch/fabric"
)

// ncclReport is what `doctor --nccl` found, as -o json has it.
type ncclReport struct {
	Settings []ncclSetting `json:"settings"`
	Findings []finding     `json:"findings"`
	Facts    fabric.Facts  `json:"facts"`
	Links    []gpu.Link    `json:"links,omitempty"`
}

// ncclSetting is a setting, and what the environment has in its place.
type ncclSetting struct {
	fabric.Setting
	Yours string `json:"yours,omitempty"`
}

// nccl shows what NCCL has to be told here, as the launcher would tell it. files is the root of the machine.
func (p *program) nccl(ctx context.Context, files fs.FS, peers []string, export bool) error {
	facts := fabric.Read(files, p.getenv)
	if size, err := shmMiB(); err == nil {
		facts.ShmMiB = size
	}
	ways := make([]fabric.Way, len(peers))
	for i, peer := range peers {
		if host, _, err := net.SplitHostPort(peer); err == nil {
			peer = host
		}
		ways[i] = fabric.Toward(peer)
	}
	facts = facts.Along(ways, fabric.DefaultRoute(files))
	report := ncclReport{Facts: facts}
	for _, s := range fabric.Settings(facts) {
		own := ncclSetting{Setting: s}
		if value, set := p.lookup(s.Name); set && value != s.Value {
			own.Yours = value
		}
		report.Settings = append(report.Settings, own)
	}
	if export {
		return p.exportNCCL(report.Settings)
	}
	for _, n := range fabric.Notes(facts) {
		f := finding{Check: n.Topic, State: "ok", Text: n.Text, Hint: n.Hint}
		if n.Warn {
			f.State = "warn"
		}
		report.Findings = append(report.Findings, f)
	}
	if len(facts.GPUs) > 1 {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		var f finding
		report.Links, f = linksBetween(ctx, p.getenv("NVIDIA_SMI"))
		report.Findings = append(report.Findings, f)
	}
	if ok, err := p.document(report); ok || err != nil {
		return err
	}
	var rows [][]string
	for _, s := range report.Settings {
		why := s.Why
		if s.Yours != "" {
			why = "yours, " + s.Yours + ", stays; otherwise: " + why
		}
		rows = append(rows, []string{s.Name, s.Value, why})
	}
	if err := table(p.out, []string{"SETTING", "VALUE", "WHY"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	return p.report(report.Findings)
}

// exportNCCL prints the settings for a shell. What the environment has already is left to it.
func (p *program) exportNCCL(settings []ncclSetting) error {
	for _, s := range settings {
		line := fmt.Sprintf("export %s='%s'", s.Name, strings.ReplaceAll(s.Value, "'", `'\''`))
		if s.Yours != "" {
			line = "# yours stays: " + line
		}
		if _, err := fmt.Fprintf(p.out, "%s # %s\n", line, clean(s.Why)); err != nil {
			return err
		}
	}
	return nil
}

// linksBetween tells how the GPUs of this machine are joined.
func linksBetween(ctx context.Context, program string) ([]gpu.Link, finding) {
	f := finding{Check: "links", State: "ok"}
	links, err := gpu.Links(ctx, program)
	if err != nil {
		f.Text = "how the GPUs are joined is not known: " + err.Error()
		return nil, f
	}
	kinds, order := map[string]int{}, []string(nil)
	slow := false
	for _, l := range links {
		if kinds[l.Kind]++; kinds[l.Kind] == 1 {
			order = append(order, l.Kind)
		}
		slow = slow || l.Kind == "SYS"
	}
	var words []string
	for _, kind := range order {
		words = append(words, fmt.Sprintf("%s (%d pairs)", kind, kinds[kind]))
	}
	f.Text = "between GPUs: " + strings.Join(words, ", ")
	if slow {
		f.Hint = "SYS crosses the sockets: a job with fewer GPUs does better on those of one"
	}
	return links, f
}

// shmMiB is the size of /dev/shm.
func shmMiB() (int, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &disk); err != nil {
		return 0, err
	}
	return int(uint64(disk.Blocks) * uint64(disk.Bsize) >> 20), nil
}
