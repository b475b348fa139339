package jobfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

const smallestQueue = `a small queue is: {name: research, quota: [{gpus: 8}]}`

// maxPreemptions is as good as no limit.
const maxPreemptions = 1_000_000

// maxWeight bounds weights, so that shares stay exact.
const maxWeight = 1000

// ParseQueues reads queue documents, several in one file where it is YAML, strictly: as [Parse] does with the
// job file. What queues say together is judged by who knows all of them. The error is [nexus.Errors].
func ParseQueues(data []byte, name string) ([]nexus.Queue, []Notice, error) {
	d := newDocument(cmp.Or(name, "the queue"))
	d.other = true
	var queues []nexus.Queue
	var notes []Notice
	for _, root := range d.loadAll(data) {
		// Paths begin anew in each document; the account of what aliases cost goes on.
		d.fields, d.given, d.broken, d.meant = root, map[string]*yaml.Node{}, map[string]bool{}, map[string]bool{}
		var q nexus.Queue
		d.value(root, reflect.ValueOf(&q).Elem(), "")
		d.checkQueue(&q)
		d.refuse(slices.ContainsFunc(queues, func(o nexus.Queue) bool { return o.Name == q.Name }), "name",
			fmt.Sprintf("%s is there twice", quote(q.Name)), "give each queue one document")
		queues = append(queues, q)
		notes = append(notes, queueNotices(&q)...)
	}
	if errs := d.errors(); len(errs) > 0 {
		return nil, nil, errs
	}
	return queues, notes, nil
}

// loadAll finds the mappings of all documents; there is at least one, or a mistake.
func (d *document) loadAll(data []byte) []*yaml.Node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > MaxSize {
		d.blame(nil, "", d.name+" is larger than 1 MiB", "")
		return nil
	}
	if line, column, what := unreadable(data); what != "" {
		d.blame(&yaml.Node{Line: line, Column: column}, "", what, "write queues as UTF-8 text")
		return nil
	}
	var roots []*yaml.Node
	var wrong *mistake
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) > 0 && start[0] == '{' && json.Valid(data) {
		roots = []*yaml.Node{nodesOfJSON(data)}
	} else if line, column, what := controls(data); what != "" {
		wrong = &mistake{line, column, what, `inside double quotes, write \xNN for it`}
	} else {
		roots, wrong = everyDocument(data)
	}
	if wrong != nil {
		d.blame(&yaml.Node{Line: wrong.line, Column: wrong.column}, "", wrong.text, wrong.hint)
		return nil
	}
	if len(roots) == 0 {
		d.blame(nil, "", d.name+" is empty", smallestQueue)
	}
	for _, root := range roots {
		if root.Kind != yaml.MappingNode {
			d.blame(root, "", d.name+" is "+kindOf(root)+", not fields with values", smallestQueue)
			return nil
		}
	}
	return roots
}

// checkQueue judges what one document says.
func (d *document) checkQueue(q *nexus.Queue) {
	const rule = "use a-z, 0-9, and - _ . inside, at most 63 characters"
	d.refuse(d.given["name"] == nil, "name", "is missing", smallestQueue)
	d.refuse(d.given["name"] != nil && !isName(q.Name), "name", quote(q.Name)+" is no name", rule)
	d.refuse(q.Parent != "" && !isName(q.Parent), "parent", quote(q.Parent)+" is no name", rule)
	d.refuse(q.Parent != "" && q.Parent == q.Name, "parent", "is the queue itself", "leave it out for a queue of its own")
	for i, row := range q.Quota {
		d.checkQuota(q, i, row)
	}
	for _, limit := range []struct {
		field string
		n     *int
	}{{"borrow_limit", q.BorrowLimit}, {"lend_limit", q.LendLimit}} {
		d.refuse(limit.n != nil && !isCount(*limit.n), limit.field, fmt.Sprintf("%d is no number of GPUs", deref(limit.n)), "")
	}
	d.refuse(d.given["weight"] != nil && (q.Weight < 1 || q.Weight > maxWeight), "weight", fmt.Sprintf("%d is not from 1 to %d", q.Weight, maxWeight), "")
	for _, limit := range []struct {
		field string
		n     int
	}{{"per_user.gpus", q.PerUser.GPUs}, {"per_user.jobs", q.PerUser.Jobs}, {"per_user.queued", q.PerUser.Queued}} {
		d.refuse(d.given[limit.field] != nil && (limit.n < 1 || !isCount(limit.n)), limit.field, fmt.Sprintf("%d is no limit", limit.n), "leave it out for no limit")
	}
	d.refuse(d.given["max_duration_default"] != nil && q.MaxDurationDefault <= 0, "max_duration_default", "is 0, which no job can keep", "leave it out for no limit")
	d.refuse(deref(q.MinRunTime) < 0, "min_run_time", "is less than nothing", "0 lets jobs be stopped at any time")
	most := deref(q.MaxPreemptions)
	d.refuse(most < 0 || most > maxPreemptions, "max_preemptions", fmt.Sprintf("%d is not from 0 to %d", most, maxPreemptions), "leave it out for what the parent says, else 16")
	for i, user := range q.Users {
		at := fmt.Sprintf("users[%d]", i)
		d.refuse(strings.TrimSpace(user) == "" || len(user) > 255 || !isPrintable(user), at, quote(user)+" is no user", "")
		d.refuse(slices.Contains(q.Users[:i], user), at, quote(user)+" is there twice", "")
	}
}

// checkQuota judges one row.
func (d *document) checkQuota(q *nexus.Queue, i int, row nexus.Quota) {
	at := fmt.Sprintf("quota[%d]", i)
	d.refuse(row.GPUs == nil && row.GPUMemory == nil && row.CPU == nil, at, "limits nothing", "say how much: {gpus: 8}, gpu_memory or cpu",
		at+".gpus", at+".gpu_memory", at+".cpu")
	d.refuse(row.GPUs != nil && !isCount(*row.GPUs), at+".gpus", fmt.Sprintf("%d is no number of GPUs", deref(row.GPUs)), "")
	model := strings.TrimSpace(row.GPUModel)
	d.refuse(d.given[at+".gpu_model"] != nil && (model == "" || len(row.GPUModel) > maxScalar || !isPrintable(row.GPUModel)),
		at+".gpu_model", quote(row.GPUModel)+" is no model of a GPU", "name a model such as H100")
	twice := slices.ContainsFunc(q.Quota[:i], func(o nexus.Quota) bool { return fold(o.GPUModel) == fold(row.GPUModel) })
	text := "is a second row for all GPUs"
	if row.GPUModel != "" {
		text = "is a second row for " + quote(row.GPUModel)
	}
	d.refuse(twice, at, text, "write one row for each model, and one without a model for all")
}

// queueNotices tell of what may not be meant.
func queueNotices(q *nexus.Queue) (list []Notice) {
	for i, row := range q.Quota {
		if row.GPUs != nil && row.GPUMemory == nil {
			at := fmt.Sprintf("quota[%d].gpus", i)
			list = append(list, Notice{Field: at, Message: at + " of queue " + q.Name + " limits whole GPUs only; gpu_memory limits shares of them"})
		}
	}
	if q.Parent == "" && q.BorrowLimit != nil {
		list = append(list, Notice{Field: "borrow_limit", Message: "borrow_limit of queue " + q.Name + " has no effect: without a parent there is nobody to borrow from"})
	}
	return list
}

// isCount reports whether n is a number that GPUs of a fleet can be counted by.
func isCount(n int) bool { return n >= 0 && n <= maxPerNode*maxNodes }

func deref[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// RenderQueue writes a queue as YAML, what is not said left out. ParseQueues reads the same queue back.
func RenderQueue(q nexus.Queue) []byte {
	var p page
	p.field(0, "name", scalarText(q.Name))
	p.said(0, "parent", q.Parent != "", scalarText(q.Parent))
	p.said(0, "quota", len(q.Quota) > 0, "")
	for _, row := range q.Quota {
		p.line(1, "- "+rowText(row))
	}
	p.said(0, "borrow_limit", q.BorrowLimit != nil, fmt.Sprint(deref(q.BorrowLimit)))
	p.said(0, "lend_limit", q.LendLimit != nil, fmt.Sprint(deref(q.LendLimit)))
	p.said(0, "weight", q.Weight != 0, fmt.Sprint(q.Weight))
	p.said(0, "order", q.Order != "", string(q.Order))
	p.said(0, "time_slicing", q.TimeSlicing, "true")
	p.said(0, "min_run_time", q.MinRunTime != nil, deref(q.MinRunTime).String())
	p.said(0, "max_preemptions", q.MaxPreemptions != nil, fmt.Sprint(deref(q.MaxPreemptions)))
	p.said(0, "scale_up", q.ScaleUp, "true")
	if u := q.PerUser; u != (nexus.PerUser{}) {
		p.field(0, "per_user", "")
		p.said(1, "gpus", u.GPUs != 0, fmt.Sprint(u.GPUs))
		p.said(1, "jobs", u.Jobs != 0, fmt.Sprint(u.Jobs))
		p.said(1, "queued", u.Queued != 0, fmt.Sprint(u.Queued))
	}
	p.said(0, "max_duration_default", q.MaxDurationDefault != 0, q.MaxDurationDefault.String())
	p.said(0, "price_per_gpu_hour", q.PricePerGPUHour != 0, q.PricePerGPUHour.String())
	p.said(0, "users", len(q.Users) > 0, flow(q.Users, flowText))
	return p.Bytes()
}

func rowText(row nexus.Quota) string {
	var said []string
	if row.GPUModel != "" {
		said = append(said, "gpu_model: "+flowText(row.GPUModel))
	}
	if row.GPUs != nil {
		said = append(said, fmt.Sprintf("gpus: %d", *row.GPUs))
	}
	if row.GPUMemory != nil {
		said = append(said, "gpu_memory: "+row.GPUMemory.String())
	}
	if row.CPU != nil {
		said = append(said, "cpu: "+row.CPU.String())
	}
	return "{" + strings.Join(said, ", ") + "}"
}
