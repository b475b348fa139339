// Package kubetest is a Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler, all real, and kwok, which plays the nodes. Nothing listens but on loopback; data, certificates and
// logs are in the test's own directory; all of it ends with the test, also when the test's process is killed.
//
//	plane := kubetest.Start(t)          // ready in seconds
//	plane.AddNode(kubetest.Node{Name: "n1", CPUs: 64, GPUs: 8, Model: "NVIDIA-H100"})
//	agents := plane.Agents(namespace)   // plays what runs in the pods
//
// There is no kubelet and no container: pods on kwok's nodes are told to run by kwok, and what an agent would make of
// them (exit codes, last words, a stop that takes its time) is written into their status by [Agents], and what they print
// is served at the nodes' kubelet port by the test. What tests prove
// by it is what the control plane and ours make of such statuses, not that a real node writes them.
//
// The programs are built from source by scripts/kube.sh. Where they were not, tests are skipped, and fail in CI.
package kubetest
