package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ainexus.io/app"
	"ainexus.io/cli/plot"
	"ainexus.io/cluster/sim/score"
	"ainexus.io/nexus"
)

// plotWriter is how a picture of that name is written; an error where its ending says nothing.
func plotWriter(path string) (func(*os.File, plot.Figure) error, error) {
	switch filepath.Ext(path) {
	case ".svg":
		return func(f *os.File, p plot.Figure) error { return plot.SVG(f, p) }, nil
	case ".png":
		return func(f *os.File, p plot.Figure) error { return plot.PNG(f, p) }, nil
	}
	return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%q is no picture that can be drawn", path), Hint: "--plot takes a file that ends in .svg or .png"}
}

// drawReplays draws several runs on one picture.
func drawReplays(path string, run app.Replay, results []app.ReplayResult) error {
	write, err := plotWriter(path)
	if err != nil {
		return err
	}
	util := plot.Chart{Title: "GPUs in use (%)", X: "days", Top: 100}
	queue := plot.Chart{Title: "jobs that wait", X: "days"}
	took := plot.Chart{Title: "jobs that took no longer than this, from submission to end (%)", Log: true, Top: 100, Marks: []plot.Mark{
		{At: 1, Text: "1 s"}, {At: 10, Text: "10 s"}, {At: 60, Text: "1 min"}, {At: 600, Text: "10 min"}, {At: 3600, Text: "1 h"},
		{At: 36000, Text: "10 h"}, {At: 86400, Text: "1 d"}, {At: 864000, Text: "10 d"}, {At: 8640000, Text: "100 d"},
	}}
	for _, r := range results {
		busy, waiting := overTime(r.Series, run.Nodes*run.GPUsPerNode)
		util.Lines = append(util.Lines, plot.Line{Name: r.Policy, Points: busy})
		queue.Lines = append(queue.Lines, plot.Line{Name: r.Policy, Points: waiting})
		took.Lines = append(took.Lines, plot.Line{Name: r.Policy, Points: shares(r.Took)})
	}
	figure := plot.Figure{
		Title:  fmt.Sprintf("%d jobs on %d nodes of %d GPUs", results[0].Jobs, run.Nodes, run.GPUsPerNode),
		Charts: []plot.Chart{util, queue, took},
	}
	file, err := os.Create(path)
	if err != nil {
		return unwritable(path, err)
	}
	if err := write(file, figure); err != nil {
		file.Close()
		return unwritable(path, err)
	}
	return file.Close()
}

func unwritable(path string, err error) error {
	return &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the picture %s cannot be written: %s", path, err)}
}

// cells is into how many pieces of time a run is cut for a picture.
const cells = 600

// overTime is how busy a run was and how many waited, each the mean of a piece of time.
func overTime(series []score.Point, gpus int) (busy, waiting []plot.Point) {
	if len(series) < 2 {
		return nil, nil
	}
	start, end := series[0].At, series[len(series)-1].At
	piece := max(end.Sub(start)/cells, time.Second)
	i := 0
	for at := start; at.Before(end); at = at.Add(piece) {
		until := at.Add(piece)
		var b, w, whole float64
		for {
			next := end
			if i+1 < len(series) {
				next = series[i+1].At
			}
			from, to := series[i].At, next
			if from.Before(at) {
				from = at
			}
			if to.After(until) {
				to = until
			}
			length := to.Sub(from).Seconds()
			b, w, whole = b+length*float64(series[i].Busy), w+length*float64(series[i].Waiting), whole+length
			if i+1 >= len(series) || next.After(until) {
				break
			}
			i++
		}
		if whole > 0 {
			days := at.Add(piece/2).Sub(start).Hours() / 24
			busy = append(busy, plot.Point{X: days, Y: 100 * b / whole / float64(gpus)})
			waiting = append(waiting, plot.Point{X: days, Y: w / whole})
		}
	}
	return busy, waiting
}

// shares is the cumulative distribution of lengths of time: which part of them, in per cent, is no longer.
func shares(lengths []time.Duration) []plot.Point {
	sorted := slices.Sorted(slices.Values(lengths))
	step := max(1, len(sorted)/1000)
	var points []plot.Point
	for i := 0; i < len(sorted); i += step {
		last := min(i+step, len(sorted)) - 1
		points = append(points, plot.Point{X: max(1, sorted[last].Seconds()), Y: 100 * float64(last+1) / float64(len(sorted))})
	}
	return points
}
