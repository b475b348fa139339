package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Plane is a running control plane.
type Plane struct {
	// Kubeconfig is the path of a file by which its administrator reaches the API server.
	Kubeconfig string

	t         testing.TB
	dir       string
	kubectl   string // the program
	authority *authority
	address   string
	starter   *starter
	kubelet   *kubelet
	core      rest.Interface
	gangs     bool   // pods are bound in groups
	audit     string // path of the log of writes; empty: none is kept

	mu   sync.Mutex
	lost map[string]bool // nodes that were cut off
}

// Start starts a control plane with our custom resources in it. It ends with the test.
func Start(t testing.TB) *Plane {
	t.Helper()
	return start(t, "", false)
}

// StartWithGangs starts one whose scheduler binds the pods of a PodGroup together or not at all: the gate GenericWorkload,
// which is off by default in 1.37.
func StartWithGangs(t testing.TB) *Plane {
	t.Helper()
	return start(t, "", true)
}

// start starts a control plane that writes down who wrote what, where audit names a file.
func start(t testing.TB, audit string, gangs bool) *Plane {
	t.Helper()
	p := &Plane{t: t, audit: audit, gangs: gangs, kubectl: Program(t, "kubectl"), dir: t.TempDir(), lost: map[string]bool{}}
	p.authority = newAuthority(t, p.dir)
	p.starter = newStarter(t, p.dir)
	p.kubelet = startKubelet(t, p.authority)
	p.startServer()
	p.startControllers()
	manifests := filepath.Join(moduleRoot(t), "deploy", "manifests")
	p.Kubectl("apply", "--server-side", "-f", filepath.Join(manifests, "crds"), "-f", filepath.Join(manifests, "admission-policy.yaml"))
	p.Kubectl("wait", "--for=condition=Established", "--timeout=180s", "crd/nexusjobs.ainexus.io", "crd/nexusqueues.ainexus.io")
	return p
}

// startServer starts etcd and the API server and waits until it is ready.
func (p *Plane) startServer() {
	p.t.Helper()
	etcd, peer := freeAddress(p.t), freeAddress(p.t)
	p.address = freeAddress(p.t)
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.starter.start(Program(p.t, "etcd"), "--data-dir", filepath.Join(p.dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=http://"+etcd, "--advertise-client-urls=http://"+etcd,
		"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer, "--initial-cluster=default=http://"+peer)
	a := p.authority
	a.issue("server", "kube-apiserver", nil, true)
	a.issue("accounts", "service-accounts", nil, false)
	a.issue("to-kubelets", "kube-apiserver", nil, false)
	args := []string{"--etcd-servers=http://" + etcd, "--bind-address=127.0.0.1", "--secure-port=" + port,
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--cert-dir=" + p.dir, "--tls-cert-file=" + a.path("server.crt"), "--tls-private-key-file=" + a.path("server.key"), "--client-ca-file=" + a.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + a.path("accounts.pub"),
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-client-certificate=" + a.path("to-kubelets.crt"), "--kubelet-client-key=" + a.path("to-kubelets.key"),
		"--service-account-signing-key-file=" + a.path("accounts.key"), "--service-cluster-ip-range=10.0.0.0/24", "--profiling=false"}
	args = append(args, p.gates("--runtime-config=scheduling.k8s.io/v1beta1=true")...)
	if p.audit != "" {
		p.write(a.path("audit.yaml"), auditPolicy)
		args = append(args, "--audit-policy-file="+a.path("audit.yaml"), "--audit-log-path="+p.audit, "--audit-log-mode=batch", "--audit-log-maxsize=4096")
	}
	p.starter.start(Program(p.t, "kube-apiserver"), append(args, p.frontProxy()...)...)
	p.Kubeconfig = a.kubeconfig(p.address, "admin", "admin", "system:masters")
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		p.t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		p.t.Fatal(err)
	}
	version := corev1.SchemeGroupVersion
	config.GroupVersion, config.APIPath, config.QPS = &version, "/api", -1
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	if p.core, err = rest.RESTClientFor(config); err != nil {
		p.t.Fatal(err)
	}
	p.starter.until("the API server", func() error {
		return p.core.Get().AbsPath("/readyz").Do(context.Background()).Error()
	})
}

// auditPolicy has writes written down, once they are answered, without what was written. Those of Events, Leases and nodes
// nobody counts.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: None, resources: [{group: coordination.k8s.io}, {group: events.k8s.io}, {group: "", resources: [nodes, nodes/status, events]}]}
- {level: Metadata, omitManagedFields: true}
`

// gates are the arguments by which a program has what is off by default, and further ones then.
func (p *Plane) gates(more ...string) []string {
	if !p.gangs {
		return nil
	}
	return append([]string{"--feature-gates=GenericWorkload=true"}, more...)
}

// startControllers starts what acts on what the API server is told.
func (p *Plane) startControllers() {
	p.t.Helper()
	a := p.authority
	p.starter.start(Program(p.t, "kube-controller-manager"), append(p.gates(), "--kubeconfig="+a.kubeconfig(p.address, "kcm", "kcm", "system:masters"),
		"--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000", "--profiling=false", "--horizontal-pod-autoscaler-sync-period=2s",
		"--service-account-private-key-file="+a.path("accounts.key"), "--root-ca-file="+a.path("ca.crt"))...)
	scheduler := a.path("scheduler.yaml")
	p.write(scheduler, fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: %q, qps: 5000, burst: 10000}
`, a.kubeconfig(p.address, "scheduler", "scheduler", "system:masters")))
	p.starter.start(Program(p.t, "kube-scheduler"), append(p.gates(), "--config="+scheduler, "--secure-port=0")...)
	stages := a.path("stages.yaml")
	p.write(stages, kwokStages)
	p.starter.start(Program(p.t, "kwok"), "--kubeconfig="+a.kubeconfig(p.address, "kwok", "kwok", "system:masters"), "--config="+stages,
		"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector="+kwokAnnotation+"=fake", "--node-lease-duration-seconds=40")
}

// User writes a kubeconfig of a user who may do what the cluster's roles let him, and returns its path.
func (p *Plane) User(name string, groups ...string) string {
	return p.authority.kubeconfig(p.address, "user-"+name, name, groups...)
}

// Authority is the path of the certificate that all others of the cluster are signed by.
func (p *Plane) Authority() string { return p.authority.path("ca.crt") }

// Run starts a program that is part of the cluster: it ends with the test, which fails where it ends before.
func (p *Plane) Run(name, program string, args ...string) {
	p.t.Helper()
	p.starter.startAs(name, program, args...)
}

// Until waits for something that has to come.
func (p *Plane) Until(what string, ok func() error) {
	p.t.Helper()
	p.starter.until(what, ok)
}

// Endpoint is the address that the controller manager has found for a pod of a Service, by the pod's host name.
func (p *Plane) Endpoint(ctx context.Context, namespace, service, host string) (net.IP, error) {
	data, err := p.core.Get().AbsPath("/apis/discovery.k8s.io/v1/namespaces", namespace, "endpointslices").
		Param("labelSelector", discoveryv1.LabelServiceName+"="+service).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var found discoveryv1.EndpointSliceList
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, err
	}
	for _, slice := range found.Items {
		for _, e := range slice.Endpoints {
			if e.Hostname != nil && *e.Hostname == host {
				return net.ParseIP(e.Addresses[0]), nil
			}
		}
	}
	return nil, fmt.Errorf("service %s has no pod %s", service, host)
}

// Kubectl runs kubectl as the administrator and returns what it printed; that it fails fails the test.
func (p *Plane) Kubectl(args ...string) string {
	p.t.Helper()
	out, err := p.TryKubectl("", args...)
	if err != nil {
		p.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TryKubectl runs kubectl with a text on its standard input and returns all that it printed.
func (p *Plane) TryKubectl(in string, args ...string) (string, error) {
	c := exec.Command(p.kubectl, append([]string{"--kubeconfig=" + p.Kubeconfig, "--cache-dir=" + filepath.Join(p.dir, "kubectl")}, args...)...)
	c.Stdin = strings.NewReader(in)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.String(), err
}

// Namespace makes a namespace in which pods can be made at once, and has it deleted when t ends.
func (p *Plane) Namespace(t testing.TB, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := p.core.Post().Resource("namespaces").Body(ns).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	p.starter.until("the service account of namespace "+name, func() error {
		return p.core.Get().Namespace(name).Resource("serviceaccounts").Name("default").Do(t.Context()).Error()
	})
}

func (p *Plane) write(path, text string) {
	p.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// freeAddress is an address on loopback that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
