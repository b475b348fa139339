package kubetest

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// frontProxy makes the certificate by which the API server is known to those that it sends requests on to, signed by an
// authority of its own, and gives the flags for it.
func (p *Plane) frontProxy() []string {
	p.t.Helper()
	dir := filepath.Join(p.dir, "front-proxy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	a := newAuthority(p.t, dir)
	a.issue("client", "front-proxy", nil, false)
	return []string{"--requestheader-client-ca-file=" + a.path("ca.crt"), "--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + a.path("client.crt"), "--proxy-client-key-file=" + a.path("client.key")}
}

// ServingCert writes tls.crt and tls.key of a Service, as a Secret has them, and returns their directory.
func (p *Plane) ServingCert(t testing.TB, service, namespace string) string {
	t.Helper()
	dir := t.TempDir()
	name := "serves-" + service
	p.authority.issue(name, service, []string{service + "." + namespace + ".svc"}, true)
	for from, to := range map[string]string{name + ".crt": "tls.crt", name + ".key": "tls.key"} {
		data, err := os.ReadFile(p.authority.path(from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Aggregate has the API server send requests for a version of a group on to a Service, which stands for an address on
// loopback: there is no network of pods here.
func (p *Plane) Aggregate(version, group, service, namespace, address string) {
	p.t.Helper()
	ca, err := os.ReadFile(p.Authority())
	if err != nil {
		p.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := p.TryKubectl(fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec: {type: ExternalName, externalName: localhost, ports: [{port: %[3]s}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: %[4]s.%[5]s}
spec:
  group: %[5]s
  version: %[4]s
  groupPriorityMinimum: 100
  versionPriority: 200
  caBundle: %[6]s
  service: {name: %[1]s, namespace: %[2]s, port: %[3]s}
`, service, namespace, port, version, group, base64.StdEncoding.EncodeToString(ca)), "apply", "-f", "-")
	if err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
}
