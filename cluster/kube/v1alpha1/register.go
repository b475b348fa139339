package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version are what resources of this package are served under.
const (
	Group   = "ainexus.io"
	Version = "v1alpha1"
)

// GroupVersion is both.
func GroupVersion() schema.GroupVersion { return schema.GroupVersion{Group: Group, Version: Version} }

// AddToScheme makes the types known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &NexusJob{}, &NexusJobList{}, &NexusQueue{}, &NexusQueueList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
