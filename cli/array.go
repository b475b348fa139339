package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// listed is a line of ps: a job, or several members of an array that stand the same.
type listed struct {
	api.JobView
	title, id string
}

// compact puts members of an array that wait, or that ended the same way, into one line, where the first of them comes.
// Members that run have lines of their own.
func compact(jobs []api.JobView) []listed {
	type group struct {
		array string
		phase nexus.Phase
	}
	members := map[group][]api.JobView{}
	key := func(j api.JobView) (group, bool) {
		if j.Member == nil || j.Phase.Live() {
			return group{}, false
		}
		return group{j.Member.Array, j.Phase}, true
	}
	for _, j := range jobs {
		if k, ok := key(j); ok {
			members[k] = append(members[k], j)
		}
	}
	var rows []listed
	for _, j := range jobs {
		k, ok := key(j)
		if !ok || len(members[k]) == 1 {
			rows = append(rows, listed{j, title(j.Job), j.ID})
			continue
		}
		if len(members[k]) == 0 {
			continue // its line is there
		}
		indices := make([]int, len(members[k]))
		first := j
		for i, m := range members[k] {
			indices[i] = m.Member.Index
			if m.Member.Index < first.Member.Index {
				first = m
			}
		}
		slices.Sort(indices)
		rows = append(rows, listed{first, clean(j.Member.Name) + "-[" + spans(indices) + "]", j.Member.Array})
		members[k] = nil
	}
	return rows
}

// each gives every job its line.
func each(jobs []api.JobView) []listed {
	rows := make([]listed, len(jobs))
	for i, j := range jobs {
		rows[i] = listed{j, title(j.Job), j.ID}
	}
	return rows
}

// maxSpans is how many characters of indices are shown.
const maxSpans = 40

// spans writes ascending indices as the job file does: "0-3,7,10-20:5".
func spans(indices []int) string {
	var parts []string
	for i := 0; i < len(indices); {
		j, step := i, 1
		if i+1 < len(indices) {
			step = indices[i+1] - indices[i]
		}
		for j+1 < len(indices) && indices[j+1]-indices[j] == step {
			j++
		}
		if j-i < 2 && step > 1 { // two that are apart are no span
			j = i
		}
		part := strconv.Itoa(indices[i])
		if j > i {
			part += "-" + strconv.Itoa(indices[j])
			if step > 1 {
				part += ":" + strconv.Itoa(step)
			}
		}
		parts = append(parts, part)
		i = j + 1
	}
	text := strings.Join(parts, ",")
	if len(text) > maxSpans {
		text = text[:strings.LastIndexByte(text[:maxSpans], ',')+1] + "..."
	}
	return text
}

// meant lists the ids that a reference means: one, or all members of an array.
func meant(ctx context.Context, client place, ref string) ([]string, error) {
	view, err := client.Job(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !view.For(ref) {
		return []string{view.ID}, nil
	}
	members, err := everyJob(ctx, client, api.Filter{Array: view.Member.Array})
	ids := make([]string, len(members))
	for i, one := range members {
		ids[len(members)-1-i] = one.ID // by index
	}
	return ids, err
}
