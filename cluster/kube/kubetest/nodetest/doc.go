// Package nodetest gives a test real nodes: kubelets and containerd, whose pods run on this machine.
//
//	world := nodetest.Enter(t)            // nil: the test has run inside, and this is its outside
//	plane := kubetest.Start(t)
//	world.Start(t, plane, "n1", images)  // Ready in seconds
//
// A test that enters is run again, as the first process of namespaces of its own for processes, mounts and network.
// Whatever it starts there (kubelets, containerd, its shims, pods) and mounts there ends with that process, and that one
// ends with the test, also when the test is killed. What outlives namespaces are control groups and files: a shell that
// waits for the test's end removes them, and who enters next removes what a test left whose shell was killed too.
//
// Several nodes share the network, a bridge, and the machine; each has its own containerd, kubelet, control group and
// pods. Images are made of files: there is no registry. The cluster's DNS is played: it answers with the addresses that
// the real controller manager has written for a Service. There is no kube-proxy: a Service with an address leads nowhere.
package nodetest
