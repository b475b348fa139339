package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// planLines tell which rank computes on what, and why.
func planLines(view api.JobView, models map[string]string) []string {
	if view.Placement == nil {
		return nil
	}
	world := 0
	for _, seat := range view.Placement.Seats {
		world += seat.Workers
	}
	lines := []string{fmt.Sprintf("plan: attempt %d of %s: %s on %s", view.Placement.Attempt, title(view.Job),
		count(world, "worker"), count(len(view.Placement.Seats), "node"))}
	first := 0
	for _, seat := range view.Placement.Seats {
		for _, row := range seatRows(seat, first, models) {
			lines = append(lines, "  "+row)
		}
		if seat.Because != "" {
			lines = append(lines, "  why "+clean(seat.Node)+": "+clean(seat.Because))
		}
		first += seat.Workers
	}
	return lines
}

// seatRows are the ranks of one seat with their devices. Ranks without a device of their own share a row.
func seatRows(seat nexus.Seat, first int, models map[string]string) []string {
	node := clean(seat.Node)
	if len(seat.GPUs) == 0 {
		return []string{fmt.Sprintf("%s  %s  %s cpu, no GPU", ranks(first, seat.Workers), node, seat.CPU)}
	}
	if seat.Share > 0 {
		return []string{fmt.Sprintf("%s  %s  %s of %s", ranks(first, seat.Workers), node, seat.Share, device(seat.GPUs[0], models))}
	}
	var rows []string
	for i := range seat.Workers {
		own := seat.GPUs[i*len(seat.GPUs)/seat.Workers : (i+1)*len(seat.GPUs)/seat.Workers]
		names := make([]string, len(own))
		for j, gpu := range own {
			names[j] = device(gpu, models)
		}
		rows = append(rows, fmt.Sprintf("%s  %s  %s", ranks(first+i, 1), node, strings.Join(names, ", ")))
	}
	return rows
}

func ranks(first, n int) string {
	if n == 1 {
		return "rank " + strconv.Itoa(first)
	}
	return fmt.Sprintf("ranks %d-%d", first, first+n-1)
}

func device(gpu nexus.SeatGPU, models map[string]string) string {
	text := "GPU " + strconv.Itoa(gpu.Index)
	if model := models[gpu.UUID]; model != "" && gpu.UUID != "" {
		text += " (" + clean(model) + ")"
	}
	return text
}

// modelsOf are the models of all devices, by UUID.
func modelsOf(nodes []api.NodeView) map[string]string {
	models := map[string]string{}
	for _, node := range nodes {
		for _, d := range node.Devices {
			models[d.UUID] = d.Model
		}
	}
	return models
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// statusLine is the state of a job in one line: steps, loss, speed and accuracy as rank 0 tells them.
func statusLine(view api.JobView) string {
	text := title(view.Job) + ": " + string(view.Phase)
	if view.Status != nil && view.Status.State != nexus.AgentRunning && view.Phase.Live() {
		text += " (" + clean(string(view.Status.State)) + ")"
	}
	if len(view.Progress) == 0 {
		return text
	}
	rank := view.Progress[0]
	text += "  " + progressOf(view)
	if rank.TotalSteps > 0 {
		done := min(rank.Step, rank.TotalSteps)
		const width = 20
		full := int(done * width / rank.TotalSteps)
		text += " [" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
	}
	if rank.Loss != nil {
		text += fmt.Sprintf("  loss %.4f", *rank.Loss)
	}
	if v, ok := rank.Metrics["samples_per_s"]; ok {
		// One rank's figure; the script says whether it counts all of them.
		text += fmt.Sprintf("  %.0f samples/s", v)
	}
	if v, ok := rank.Metrics["accuracy"]; ok {
		text += fmt.Sprintf("  accuracy %.1f %%", 100*v)
	}
	return text
}

// outcome says how a job ended, in words.
func outcome(view api.JobView) []string {
	var lines []string
	r := view.Result
	switch view.Phase {
	case nexus.Succeeded:
		text := title(view.Job) + " succeeded"
		if !view.Started.IsZero() && view.Finished.After(view.Started) {
			text += " after " + span(view.Finished.Sub(view.Started))
		}
		lines = append(lines, text)
	case nexus.Failed:
		text := title(view.Job) + " failed"
		if r != nil {
			text += ": " + clean(r.Message)
		}
		lines = append(lines, text)
	case nexus.Cancelled:
		text := title(view.Job) + " was cancelled"
		if r != nil && r.Cause == nexus.CauseAfter {
			text += ": " + clean(r.Message)
		}
		lines = append(lines, text)
	default:
		return []string{title(view.Job) + " is " + string(view.Phase)}
	}
	if r != nil && r.Ack != nil {
		lines = append(lines, fmt.Sprintf("its work is saved: step %d in %s", r.Ack.Step, clean(r.Ack.Path)))
	} else if r != nil && view.Phase == nexus.Cancelled && r.LostSeconds > 0 {
		lines = append(lines, fmt.Sprintf("no checkpoint was acknowledged: %s of work are lost", span(seconds(r.LostSeconds))))
	}
	if view.LogDir != "" {
		lines = append(lines, "logs: "+clean(view.LogDir))
	}
	return lines
}

// exitOf is the exit code of a job that is over.
func exitOf(view api.JobView) error {
	switch {
	case view.Phase == nexus.Succeeded:
		return nil
	case view.Phase == nexus.Cancelled:
		return &exit{code: exitDetached}
	case view.Result != nil && view.Result.Exit > 0 && view.Result.Exit < 256:
		return &exit{code: view.Result.Exit}
	}
	return &exit{code: exitError}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
