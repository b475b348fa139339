package cli

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) checkpointsCommand() *cobra.Command {
	var quick bool
	cmd := p.oneJob(&cobra.Command{
		Use: "checkpoints JOB", Short: "List the work that a job saved, and whether it is whole",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			list, err := client.Checkpoints(cmd.Context(), args[0], quick)
			if err != nil {
				return err
			}
			if ok, err := p.document(api.CheckpointList{Checkpoints: list}); ok {
				return err
			}
			return p.printCheckpoints(list)
		},
	})
	cmd.Flags().BoolVar(&quick, "quick", false, "compare sizes only, not checksums: nothing is read")
	p.outputFlag(cmd, "json", "yaml", "wide", "name")
	return cmd
}

func (p *program) printCheckpoints(list []nexus.Saved) error {
	if p.output == "name" {
		for _, s := range list {
			fmt.Fprintln(p.out, clean(s.Path))
		}
		return nil
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(p.err, "it has saved nothing yet")
		return err
	}
	heading := []string{"STEP", "AGE", "SIZE", "VALID", "NAME"}
	if p.output == "wide" {
		heading = []string{"STEP", "AGE", "SIZE", "VALID", "ATTEMPT", "ROUND", "RANKS", "PATH"}
	}
	var rows [][]string
	for _, s := range list {
		row := []string{strconv.FormatInt(s.Step, 10), span(time.Since(s.At)), bytesText(s.Size), validText(s)}
		if p.output == "wide" {
			row = append(row, strconv.Itoa(s.Epoch.Attempt), strconv.Itoa(s.Epoch.Round), strconv.Itoa(s.WorldSize), s.Path)
		} else {
			row = append(row, filepath.Base(s.Path))
		}
		rows = append(rows, row)
	}
	return table(p.out, heading, rows)
}

// validText says whether a checkpoint may be resumed from.
func validText(s nexus.Saved) string {
	switch {
	case !s.Valid:
		return "no: " + s.Wrong
	case !s.Compared:
		return "size is right"
	}
	return "yes"
}

// bytesText writes a size for people: "831 B", "1.5 MiB".
func bytesText(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1024 && unit < 3 {
		size, unit = size/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", size, []string{"KiB", "MiB", "GiB", "TiB"}[unit])
}
