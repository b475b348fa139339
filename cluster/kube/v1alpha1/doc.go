// Package v1alpha1 holds the custom resources of AI-Nexus as Kubernetes stores them: NexusJob, whose spec is the job
// file field for field, and NexusQueue, whose spec is the queue document.
//
// The types say what the API server checks by itself. What a document means, its defaults and what is wrong with it
// is known to nexus/jobfile alone, which reads a spec as it was written: [JobSpec.Document]. So fields that a job file
// writes in several ways ("40GiB" or a number of bytes, a line or a list) are kept as they came ([Any]).
//
// deploy/manifests/crds and zz_generated.deepcopy.go are made from this package by scripts/generate.sh.
//
// +kubebuilder:object:generate=true
// +groupName=ainexus.io
package v1alpha1
