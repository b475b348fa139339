package preflight

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"ainexus.io/launch/fabric"
)

const (
	// reachLimit is what one port gets; a lost packet is sent again after one second, and after two more.
	reachLimit = 4 * time.Second
	// pings are the round trips that a pair makes.
	pings = 32
	// pairTime is how long a pair reduces, at least.
	pairTime = 400 * time.Millisecond
)

// run is the check from the first word to the report.
func (c *check) run(ctx context.Context) (Report, error) {
	found := Found{Reach: make([][]Miss, len(c.agents))}
	if err := c.tell(ctx, "node", c.self()); err != nil {
		return Report{}, err
	}
	var err error
	if found.Nodes, err = gather[Node](ctx, c, "node", c.Limit); err != nil {
		return Report{}, err
	}
	c.Meeting.Say("all nodes have met; trying ports")
	reach, err := together(ctx, c, &found, "reach", func() []Miss { return c.reach(ctx, found.Nodes) })
	if err != nil {
		return Report{}, err
	}
	for rank, misses := range reach {
		if misses != nil {
			found.Reach[rank] = *misses
		}
	}
	c.Meeting.Say("measuring pairs")
	// Who looks slow is measured again: a busy moment of a node must not be taken for its link.
	again := func(int, int) bool { return true }
	for try := 0; try < 3 && again != nil; try++ {
		if err := c.tournament(ctx, &found, try, again); err != nil {
			return Report{}, err
		}
		again = found.slow()
	}
	c.Meeting.Say("measuring all nodes together")
	whole, err := together(ctx, c, &found, "whole", func() Speed { return c.whole(ctx, found) })
	if err != nil {
		return Report{}, err
	}
	found.Whole = whole[c.rank]
	return c.agree(ctx, found)
}

// tournament has each pair that is meant measure itself, each node with one other at a time.
func (c *check) tournament(ctx context.Context, found *Found, try int, meant func(a, b int) bool) error {
	for turn := range turns(len(c.agents)) {
		pairs, err := together(ctx, c, found, fmt.Sprintf("pair/%d/%d", try, turn), func() *Pair { return c.pair(ctx, try, turn, *found, meant) })
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if p != nil && *p != nil {
				found.add(**p)
			}
		}
	}
	return nil
}

// together does one step and waits for all others, so that nobody measures while another still does something else.
func together[T any](ctx context.Context, c *check, found *Found, step string, do func() T) ([]*T, error) {
	if err := c.tell(ctx, step, do()); err != nil {
		return nil, err
	}
	list, err := gather[T](ctx, c, step, c.Limit)
	if err != nil {
		return nil, err
	}
	for rank, told := range list {
		if told == nil {
			found.Mute = append(found.Mute, fmt.Sprintf("node %s says nothing of %s within %s", c.agents[rank].Node, step, c.Limit))
		}
	}
	return list, nil
}

// self is what this node says of itself.
func (c *check) self() Node {
	host := hostOf(c.agents[c.rank].Addr)
	device := fabric.DeviceOf(host)
	way, _ := c.Facts.Named(device)
	n := Node{
		Rank: c.rank, Node: c.agents[c.rank].Node, Addr: host, Device: device, SpeedMbit: way.SpeedMbit, GPUs: len(c.Facts.GPUs),
		Fabric: "sockets", Open: c.doors.ports, Taken: c.doors.taken,
	}
	for _, s := range fabric.Settings(c.Facts.Over(n.Device, "")) {
		if s.Name == "NCCL_IB_HCA" {
			n.Fabric = strings.TrimPrefix(s.Value, "=")
		}
	}
	return n
}

// reach tries the ports of all others at once.
func (c *check) reach(ctx context.Context, nodes []*Node) []Miss {
	var mu sync.Mutex
	misses := []Miss{}
	var tries sync.WaitGroup
	crowd := make(chan struct{}, 128)
	for rank, n := range nodes {
		if n == nil || rank == c.rank {
			continue
		}
		for _, port := range n.Open {
			tries.Go(func() {
				crowd <- struct{}{}
				defer func() { <-crowd }()
				if err := c.try(ctx, n.Addr, port, c.agents[rank].ID); err != nil {
					mu.Lock()
					defer mu.Unlock()
					misses = append(misses, Miss{rank, port, err.Error()})
				}
			})
		}
	}
	tries.Wait()
	slices.SortFunc(misses, func(a, b Miss) int { return (a.To-b.To)<<16 + a.Port - b.Port })
	return misses
}

// try asks who is behind a port.
func (c *check) try(ctx context.Context, host string, port int, id string) error {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	conn, err := knock(ctx, host, port, askName)
	if err != nil {
		return errors.New(plain(err))
	}
	defer conn.Close()
	line, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n')
	switch {
	case err != nil:
		return fmt.Errorf("it is open and nobody answers: %s", plain(err))
	case strings.TrimSpace(line) != id:
		return errors.New("somebody else answers there")
	}
	return nil
}

// plain says what a network error means.
func plain(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to host"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "a rule of its own forbids it"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "closed"
	}
	return err.Error()
}
