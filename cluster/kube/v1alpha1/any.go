package v1alpha1

import (
	"bytes"
	"slices"
)

// Any is a JSON value as it was written.
// +kubebuilder:object:generate=false
type Any struct {
	Raw []byte
}

// IsZero reports whether nothing was written.
func (a Any) IsZero() bool { return len(a.Raw) == 0 }

// MarshalJSON writes the value as it came.
func (a Any) MarshalJSON() ([]byte, error) {
	if a.IsZero() {
		return []byte("null"), nil
	}
	return a.Raw, nil
}

// UnmarshalJSON keeps the value; null says nothing.
func (a *Any) UnmarshalJSON(data []byte) error {
	a.Raw = nil
	if !bytes.Equal(data, []byte("null")) {
		a.Raw = bytes.Clone(data)
	}
	return nil
}

// DeepCopyInto copies the value.
func (a *Any) DeepCopyInto(out *Any) { out.Raw = slices.Clone(a.Raw) }

// DeepCopy copies the value.
func (a *Any) DeepCopy() *Any {
	if a == nil {
		return nil
	}
	return &Any{Raw: slices.Clone(a.Raw)}
}
