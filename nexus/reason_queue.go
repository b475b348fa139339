package nexus

import "fmt"

// limits tells which limit of a queue or user holds a job, and what is left of it.
func (r Reason) limits() string {
	if r.Resource == "jobs" {
		return fmt.Sprintf("user %s already has %d of %s running in queue %s", r.User, r.Used, plural(r.Limit, "job"), r.Queue)
	}
	what, need := r.Amount(r.Limit), r.counted(r.Need, "")
	if r.Code == WaitUser {
		return fmt.Sprintf("user %s has %s of %s in queue %s and the job needs %s", r.User, r.number(r.Used), what, r.Queue, need)
	}
	text := fmt.Sprintf("queue %s has %s of %s", r.Queue, r.number(r.Used), what)
	switch {
	case r.Borrow > 0:
		text += fmt.Sprintf(" (%s of them to be borrowed)", r.number(r.Borrow))
	case r.Limit == 0 || r.Used > r.Limit:
		text = fmt.Sprintf("queue %s has %s on a quota of %s", r.Queue, r.Amount(r.Used), r.number(r.Limit))
	}
	text += " and the job needs " + need
	own := max(0, r.Limit-r.Used)
	switch {
	case r.Cohort != "" && r.Have <= own:
		text += "; its cohort " + r.Cohort + " lends nothing more"
	case r.Cohort != "":
		text += fmt.Sprintf("; its cohort %s lends no more than %s", r.Cohort, r.number(r.Have-own))
	}
	if r.Job != "" {
		text += "; job " + r.Job + " is ahead of it for what comes free"
	}
	return text
}

// number writes an amount of what the reason is about.
func (r Reason) number(n int64) string {
	switch r.Resource {
	case "gpu_memory":
		return MiB(n).String()
	case "cpu":
		return CPU(n).String()
	}
	return fmt.Sprint(n)
}

// Amount writes an amount of what the reason is about, with what is counted: "8 H100 GPUs".
func (r Reason) Amount(n int64) string {
	if r.Model == "" {
		return r.counted(n, "")
	}
	return r.counted(n, r.Model+" ")
}

func (r Reason) counted(n int64, model string) string {
	switch r.Resource {
	case "gpu_memory":
		return MiB(n).String() + " of " + model + "GPU shares"
	case "cpu":
		return CPU(n).words()
	}
	return plural(n, model+"GPU")
}
