package nexus

import (
	"fmt"
	"time"
)

// Sentence says the reason in words: one line, lower case, without a full stop. It names jobs by what
// Job holds.
func (r Reason) Sentence() string {
	text := r.clause()
	if r.Queue != "" && r.Code != WaitQuota && r.Code != WaitUser {
		text += fmt.Sprintf(" (of models that queue %s has quota left for: %s)", r.Queue, r.Model)
	}
	switch {
	case r.Yields == "":
	case r.From.IsZero():
		text += fmt.Sprintf("; job %s would be asked for its seats, but was preempted as often as its queue allows", r.Yields)
	default:
		text += fmt.Sprintf("; job %s is asked for its seats at %s", r.Yields, r.From.UTC().Format(time.RFC3339))
		if r.Runs > 0 {
			text += fmt.Sprintf(", when it has run for %s", r.Runs)
		}
	}
	if !r.Until.IsZero() && r.Code != WaitBackoff {
		text += "; it starts at " + r.Until.UTC().Format(time.RFC3339) + " at the latest"
	}
	return text
}

func (r Reason) clause() string {
	switch r.Code {
	case "":
		return ""
	case WaitCapacity:
		return "others hold what it needs: " + r.shortage("is free", "are free")
	case WaitBehind:
		if r.Job == "" {
			return "it would fit, but others are ahead of it in line"
		}
		return fmt.Sprintf("it would fit, but job %s is ahead of it in line and keeps the room", r.Job)
	case WaitUnfit:
		return "no node is large enough: " + r.shortage("exists", "exist")
	case WaitNodes:
		text := fmt.Sprintf("it needs %s, and of those that could take it %d are ready", plural(r.Need, "node"), r.Have)
		if r.Have == 0 {
			text = "no node that could take it is ready"
		}
		if r.Node != "" {
			text += "; " + r.Node + " is not"
		}
		return text
	case WaitDevice:
		return "devices that it needs are not well: " + r.shortage("is well", "are well")
	case WaitBackoff:
		return "it failed and waits before the next try, until " + r.Until.UTC().Format(time.RFC3339)
	case WaitPreempt:
		return fmt.Sprintf("its seats are reserved; job %s is being stopped for it", r.Job)
	case WaitThrift:
		return "it would take a part of an idle GPU, and the last idle ones are kept for jobs that use them whole"
	case WaitQueue:
		return "its queue does not exist"
	case WaitQuota, WaitUser:
		return r.limits()
	case WaitAfter:
		what := "to succeed"
		if r.Resource == string(AwaitAny) {
			what = "to be over"
		}
		if r.Need > 1 {
			what += fmt.Sprintf(" (%d of %d are done)", r.Have, r.Need)
		}
		return fmt.Sprintf("it waits for job %s %s", r.Job, what)
	case WaitArray:
		return fmt.Sprintf("%d of %d members of the array run, which is as many as may at once", r.Have, r.Need)
	case WaitHeld:
		return fmt.Sprintf("%s holds it, and it waits until it is released", r.User)
	}
	return string(r.Code)
}

// shortage tells need against have.
func (r Reason) shortage(is, are string) string {
	on := "on one node"
	if r.Within == LevelIsland {
		on = "of one island on one node"
	}
	where := ""
	if r.Node != "" {
		where = " on " + r.Node
	}
	switch r.Resource {
	case "gpus":
		verb := are
		if r.Have == 1 {
			verb = is
		}
		return fmt.Sprintf("it needs %s %s, and at most %d %s%s", plural(r.Need, "GPU"), on, r.Have, verb, where)
	case "gpu_memory":
		return fmt.Sprintf("it needs %s of one GPU, and at most %s %s%s", MiB(r.Need), MiB(r.Have), is, where)
	case "cpu":
		return fmt.Sprintf("it needs %s %s, and at most %s %s%s", CPU(r.Need).words(), on, CPU(r.Have), are, where)
	case "memory":
		return fmt.Sprintf("it needs %s of memory %s, and at most %s %s%s", MiB(r.Need), on, MiB(r.Have), is, where)
	case "nodes":
		of := ""
		if r.Within != "" && r.Within != LevelIsland {
			of = fmt.Sprintf(" of one %s", r.Within)
		}
		return fmt.Sprintf("it needs %s%s with room at the same time, and finds %d", plural(r.Need, "node"), of, r.Have)
	}
	return "it does not fit"
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (c CPU) words() string {
	if c == 1000 {
		return "1 cpu"
	}
	return c.String() + " cpus"
}
