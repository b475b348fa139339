package local

import (
	"context"
	"fmt"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// members are the records of a submit: one, or one for each index of an array, ascending. They share all that does not
// differ.
func members(one store.Record) []store.Record {
	array := one.Job.Spec.Array
	if array.IsZero() {
		return []store.Record{one}
	}
	spec := one.Job.Spec
	spec.Array = nexus.Array{}
	family := nexus.Member{Array: newID(), Name: spec.Name, Indices: array.String(), AtOnce: array.AtOnce}
	indices := array.Indices()
	family.Size = len(indices)
	records := make([]store.Record, len(indices))
	for i, index := range indices {
		r, m := one, family
		m.Index = index
		r.Job.Spec, r.Job.Member = spec, &m
		r.Job.Submitted = r.Job.Submitted.Add(time.Duration(i)) // in line they stand by index
		r.Job.Spec.Name = fmt.Sprintf("%s-%d", spec.Name, index)
		if i > 0 { // the first one keeps the id that was made for the submit
			r.Job.ID = newID()
		}
		records[i] = r
	}
	return records
}

// targets are the jobs that a reference means: one, or all members of an array that are kept.
func (p *Place) targets(ctx context.Context, ref string) (ids []string, array bool, err error) {
	id, array, err := p.meant(ctx, ref)
	if err != nil || !array {
		return []string{id}, false, err
	}
	ids, err = p.store.Members(ctx, id)
	if err == nil && len(ids) == 0 {
		err = unknown(ref)
	}
	return ids, true, err
}

// spokesman is the member that answers for an array: the first that waits, else the first that is not over, else the
// first.
func (p *Place) spokesman(ctx context.Context, array string) (string, error) {
	ids, err := p.store.Members(ctx, array)
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", unknown(array)
	}
	first := ""
	for _, id := range ids {
		r, live := p.view.get(id)
		if live && r.Job.Phase == nexus.Pending {
			return id, nil
		}
		if live && first == "" {
			first = id
		}
	}
	if first == "" {
		first = ids[0]
	}
	return first, nil
}
