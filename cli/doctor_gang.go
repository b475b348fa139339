package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/launch"
	"ainexus.io/launch/fabric"
	"ainexus.io/launch/preflight"
	"ainexus.io/launch/rendezvous"
	"ainexus.io/launch/site"
	"ainexus.io/nexus"
	"ainexus.io/train/collective"
)

// gangFlags are where and how the nodes meet, by launch's names. An empty one is as if it were not given.
type gangFlags struct {
	nnodes, endpoint, id, conf, rank, local string
	limit                                   time.Duration
}

// args are the flags as `nexus launch` would be given them, so that whatever it finds out by itself holds here.
func (g gangFlags) args() (list []string) {
	for _, f := range []struct{ name, value string }{
		{"nnodes", g.nnodes}, {"rdzv-endpoint", g.endpoint}, {"rdzv-id", g.id}, {"rdzv-conf", g.conf}, {"node-rank", g.rank}, {"local-addr", g.local},
	} {
		if f.value != "" {
			list = append(list, "--"+f.name+"="+f.value)
		}
	}
	return append(list, "--no-python", "true")
}

// gang checks what lies between the nodes of a gang, all of which run it.
func (p *program) gang(ctx context.Context, flags gangFlags) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	inv, err := launch.ParseArgs(site.Find(p.getenv, site.Facts{Hostname: host, ReadFile: os.ReadFile}), flags.args(), p.getenv)
	switch {
	case errors.Is(err, launch.ErrOtherTells):
		return &exit{code: exitUsage}
	case err != nil:
		return err
	}
	meet := inv.Options.Meet
	switch {
	case meet.Endpoint == "":
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "one node is no gang", Hint: "--nnodes N --rdzv-endpoint HOST, the same on each of the N nodes"}
	case meet.Min != meet.Max:
		return &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("--nnodes %d:%d: a check needs to know how many nodes to wait for", meet.Min, meet.Max),
			Hint: "--nnodes N"}
	}
	facts := fabric.Read(os.DirFS("/"), p.getenv)
	report, err := preflight.Run(ctx, preflight.Options{
		Nodes: meet.Max, Wait: meet.JoinTimeout, Limit: flags.limit, Facts: facts, Join: joinRing,
		Meeting: rendezvous.Options{
			Endpoint: meet.Endpoint, ID: "doctor/" + inv.Options.RunID, Token: meet.Token, IsHost: meet.IsHost, Node: host, Rank: meet.Rank, LocalAddr: meet.LocalAddr,
			Timing: rendezvous.Timing{Beat: meet.Beat, Silence: meet.Silence}, ConnectTimeout: meet.ConnectTimeout,
			Say: func(text string) { fmt.Fprintln(p.err, clean(text)) },
		},
	})
	if err != nil {
		return err
	}
	ok, err := p.document(report)
	if err == nil && !ok {
		err = p.tellGang(report)
	}
	if err != nil {
		return err
	}
	if !report.OK() {
		return &exit{code: exitError}
	}
	return nil
}

// tellGang prints a report.
func (p *program) tellGang(r preflight.Report) error {
	var nodes, pairs [][]string
	names := map[int]string{}
	for _, n := range r.Nodes {
		names[n.Rank] = n.Node
		nodes = append(nodes, []string{n.Node, strconv.Itoa(n.Rank), n.Addr, n.Device, strconv.Itoa(n.GPUs), n.Fabric})
	}
	if err := table(p.out, []string{"NODE", "RANK", "ADDRESS", "INTERFACE", "GPUS", "NCCL OVER"}, nodes); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	for _, pair := range r.Pairs {
		name := names[pair.A] + " - " + names[pair.B]
		if pair.Bytes == 0 {
			pairs = append(pairs, []string{name, pair.Trouble})
			continue
		}
		pairs = append(pairs, []string{name, preflight.Rate(pair.Bytes), shortly(pair.RTT), shortly(pair.Ahead)})
	}
	if r.Whole > 0 {
		pairs = append(pairs, []string{"all", preflight.Rate(r.Whole)})
	}
	if err := table(p.out, []string{"PAIR", "BANDWIDTH", "ROUND TRIP", "CLOCKS"}, pairs); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	for _, t := range r.Troubles {
		state := "warn"
		if t.Fatal {
			state = "fail"
		}
		fmt.Fprintf(p.out, "%s  %s\n", state, clean(t.Text))
		if t.Hint != "" {
			fmt.Fprintf(p.out, "      hint: %s\n", clean(t.Hint))
		}
	}
	if len(r.Troubles) == 0 {
		fmt.Fprintln(p.out, "ok    nothing is in the way")
	}
	return nil
}

// shortly writes a time that is mostly below a second.
func shortly(s float64) string {
	return strings.Replace(time.Duration(s*float64(time.Second)).Round(time.Microsecond).String(), "µ", "u", 1)
}

// ring reduces over the network by the collectives of Go training.
type ring struct{ *collective.Group }

// Sum reduces data in place.
func (r ring) Sum(data []float32) error { return collective.AllReduce(r.Group, data, collective.Sum) }

func joinRing(ctx context.Context, store *c10d.Client, prefix, host string, rank, size int, limit time.Duration) (preflight.Ring, error) {
	group, err := collective.Join(ctx, collective.Config{Rank: rank, Size: size, Store: store, Prefix: prefix, Host: host, TCP: true, Timeout: limit})
	if err != nil {
		return nil, err
	}
	return ring{group}, nil
}
