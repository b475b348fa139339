package sched

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// setQueue adds a queue or replaces it.
func (w *world) setQueue(q nexus.Queue) {
	w.queues = slices.DeleteFunc(slices.Clone(w.queues), func(o nexus.Queue) bool { return o.Name == q.Name })
	w.queues = append(w.queues, q)
}

// waitingOf counts the jobs of a user that wait in a queue or below it.
func (w *world) waitingOf(queue, user string) int {
	n := 0
	for _, j := range w.jobs {
		for at := j.Spec.Queue; at != "" && j.Phase == nexus.Pending && j.User == user; at = w.parentOf(at) {
			n += bit(at == queue)
		}
	}
	return n
}

func (w *world) parentOf(queue string) string {
	for _, q := range w.queues {
		if q.Name == queue {
			return q.Parent
		}
	}
	return ""
}

// readQueue reads "name parent=org quota=8 H100=4 shares=40GiB cpu=8 borrow=4 lend=2 weight=2 ...".
func readQueue(t testing.TB, args []string) nexus.Queue {
	t.Helper()
	q := nexus.Queue{Name: args[0]}
	all := nexus.Quota{}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(value)
		switch key {
		case "quota":
			all.GPUs = &n
		case "shares":
			all.GPUMemory = new(nexus.MiB)
			err = all.GPUMemory.UnmarshalText([]byte(value))
		case "cpu":
			all.CPU = new(nexus.CPU)
			err = all.CPU.UnmarshalText([]byte(value))
		case "borrow":
			q.BorrowLimit = &n
		case "lend":
			q.LendLimit = &n
		case "weight":
			q.Weight = n
		case "user_gpus":
			q.PerUser.GPUs = n
		case "user_jobs":
			q.PerUser.Jobs = n
		case "user_queued":
			q.PerUser.Queued = n
		case "min_run_time":
			q.MinRunTime = new(nexus.Duration)
			err = q.MinRunTime.UnmarshalText([]byte(value))
		case "max_preemptions":
			q.MaxPreemptions = &n
		case "time_slicing":
			q.TimeSlicing, err = value == "true", nil
		case "parent":
			q.Parent, err = value, nil
		case "order":
			q.Order, err = nexus.QueueOrder(value), nil
		case "users":
			q.Users, err = strings.Split(value, ","), nil
		default: // a model
			q.Quota = append(q.Quota, nexus.Quota{GPUModel: key, GPUs: &n})
		}
		if err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
	}
	if all != (nexus.Quota{}) {
		q.Quota = append(q.Quota, all)
	}
	return q
}

// readUse reads "nlp ada 4 2h": 4 GPUs for two hours until now.
func readUse(t testing.TB, at time.Time, args []string) nexus.QueueUse {
	t.Helper()
	gpus, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	long, err := time.ParseDuration(args[3])
	if err != nil {
		t.Fatal(err)
	}
	u := nexus.QueueUse{Queue: args[0], User: args[1]}
	return policy.Used(u, 1000*gpus, 0, at.Add(-long), at, policy.HalfLife)
}

// What queues say together is judged together.
func TestQueuesTogether(t *testing.T) {
	read := func(lines ...string) (queues []nexus.Queue) {
		for _, line := range lines {
			queues = append(queues, readQueue(t, strings.Fields(line)))
		}
		return queues
	}
	for _, row := range []struct {
		queues []nexus.Queue
		want   string
	}{
		{read("a", "b parent=a quota=3"), "[] no error"},
		{read("a parent=nobody"), "[] queue a: there is no queue nobody to be its parent"},
		{read("a parent=default"), "[] no error"},
		{read("a parent=b", "b parent=c", "c parent=a"), "[] queue a is below itself: its parent b leads back to it\n" +
			"queue b is below itself: its parent c leads back to it\nqueue c is below itself: its parent a leads back to it"},
		{read("org quota=8 H100=2", "a parent=org quota=6 H100=1", "b parent=org quota=4 H100=1"),
			"[queue org has 8 GPUs, and its children are entitled to 10 GPUs: not all of them can have theirs at a time] no error"},
	} {
		notices, errs := CheckQueues(row.queues)
		if got := fmt.Sprint(notices, " ", errs.Error()); got != row.want {
			t.Errorf("%+v:\n%s\nnot\n%s", row.queues, got, row.want)
		}
	}
}
