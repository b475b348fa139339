package kubetest

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
)

var (
	serve      = flag.Bool("serve", false, "start a control plane for another program, say where it is, and keep it until standard input ends")
	serveNodes = flag.Int("serve.nodes", 10, "how many nodes of 8 GPUs it has")
)

// Served is what the other program is told, as a line of JSON on standard error.
type Served struct {
	Address, CA, Cert, Key string // of the API server and of its administrator
	Controller             string // kubeconfig of a service account, as which a controller runs
	User                   string // that the audit log knows it by
	Audit                  string
	PIDs                   map[string]int
}

// TestServe lends a control plane to a benchmark, which must not link what tests do.
func TestServe(t *testing.T) {
	if !*serve {
		t.Skip("nobody asks for it: -serve")
	}
	p := start(t, filepath.Join(t.TempDir(), "audit.log"), false)
	p.Namespace(t, "bench")
	var posting errgroup.Group
	posting.SetLimit(16)
	for i := range *serveNodes {
		posting.Go(func() error {
			return p.postNode(Node{Name: fmt.Sprintf("n%04d", i), CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559})
		})
	}
	if err := posting.Wait(); err != nil {
		t.Fatal(err)
	}
	p.starter.until("all nodes", func() error {
		var list corev1.NodeList
		if err := p.core.Get().Resource("nodes").Do(t.Context()).Into(&list); err != nil {
			return err
		}
		for i := range list.Items {
			if err := usable(&list.Items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	s := Served{Address: p.address, CA: p.authority.path("ca.crt"), Cert: p.authority.path("admin.crt"), Key: p.authority.path("admin.key"),
		Controller: p.account("bench", "nexus"), User: "system:serviceaccount:bench:nexus", Audit: p.audit, PIDs: map[string]int{}}
	for _, process := range p.starter.list {
		s.PIDs[process.name] = process.cmd.Process.Pid
	}
	if err := json.NewEncoder(os.Stderr).Encode(s); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Error(err)
	}
}

// account makes a service account that may do everything, and writes how its pods would reach the API server: by a token, which
// costs the API server less than a certificate does.
func (p *Plane) account(namespace, name string) string {
	p.t.Helper()
	p.Kubectl("create", "serviceaccount", name, "--namespace="+namespace)
	p.Kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--serviceaccount="+namespace+":"+name)
	token := strings.TrimSpace(p.Kubectl("create", "token", name, "--namespace="+namespace, "--duration=24h"))
	path := p.authority.path(name + ".kubeconfig")
	p.write(path, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s", certificate-authority: %q}}]
users: [{name: u, user: {token: %q}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: %q}}]
current-context: x
`, p.address, p.Authority(), token, namespace))
	return path
}
