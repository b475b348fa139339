package app

import "ainexus.io/cluster/kube"

// Reach says which cluster is meant.
type Reach = kube.Reach

// Cluster is a Kubernetes cluster as its users see it, through a kubeconfig. Nothing is sent yet.
func Cluster(r Reach) (*kube.Client, error) { return kube.NewClient(r) }

// Clusters are what a kubeconfig knows.
func Clusters(r Reach) ([]kube.Known, error) { return r.Contexts() }
