package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/launch/fabric"
	"ainexus.io/launch/rendezvous"
)

// Ring is a few ranks that reduce together over the network.
type Ring interface {
	// Sum replaces data by its sum over all ranks.
	Sum(data []float32) error
	Close() error
}

// JoinFunc forms a ring of so many ranks through a store; keys begin with prefix, host is this node's address.
type JoinFunc func(ctx context.Context, store *c10d.Client, prefix, host string, rank, size int, limit time.Duration) (Ring, error)

// Options are the settings of [Run].
type Options struct {
	Nodes   int                // how many take part
	Meeting rendezvous.Options // Endpoint, ID, Token, IsHost, Node, Rank, LocalAddr, ConnectTimeout, Say, Logger; the rest is ours
	Wait    time.Duration      // how long to wait for all nodes; default 10 min
	Ports   []int              // tried on every node beside the endpoint's and one that the kernel chooses; default [DefaultPorts]
	Limit   time.Duration      // of one step, by which a silent node is given up; default 30 s
	Facts   fabric.Facts       // of this node
	Join    JoinFunc
	Now     func() time.Time // the clock that is compared; default time.Now
}

// DefaultPorts are the store's, and the ends and the middle of the range that Kubernetes pods of one gang may use.
func DefaultPorts() []int { return []int{29500, 29501, 30012, 30524} }

func (o Options) withDefaults() Options {
	if o.Limit <= 0 {
		o.Limit = 30 * time.Second
	}
	if o.Wait <= 0 {
		o.Wait = 10 * time.Minute
	}
	if o.Ports == nil {
		o.Ports = DefaultPorts()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Meeting.Timing.Silence <= 0 { // links are filled on purpose: a late heartbeat is no death here
		o.Meeting.Timing.Silence = 10 * time.Second
	}
	if o.Meeting.Say == nil {
		o.Meeting.Say = func(string) {}
	}
	return o
}

// Run takes part in the check and returns what was found, the same on every node. An error means that there was no check.
func Run(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &check{Options: o, cancel: cancel}
	defer c.close()
	if err := c.meet(ctx); err != nil {
		return Report{}, c.because(ctx, err)
	}
	report, err := c.run(ctx)
	if err != nil {
		return Report{}, c.because(ctx, err)
	}
	c.part()
	return report, nil
}

// because is why the check ended with an error. Who lost the store hears from the meeting, a little later perhaps, that
// its node is gone.
func (c *check) because(ctx context.Context, err error) error {
	if errors.Is(err, c10d.ErrLost) {
		select {
		case <-ctx.Done():
		case <-time.After(c.Meeting.Timing.Silence + 5*time.Second):
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// check is one node's part in a check.
type check struct {
	Options
	cancel  context.CancelCauseFunc
	meeting *rendezvous.Meeting
	quit    chan struct{} // nobody is interested in the meeting any more
	over    chan struct{} // the meeting has had its last word, or is not heard any more
	number  int           // of the round
	rank    int
	opened  string // where the store that this node opened is reached
	judges  bool   // the check's store is this one
	keeper  string // name of the node that has it
	agents  []elastic.Agent
	doors   *doors
	server  *c10d.Server // on rank 0's node
	store   *c10d.Client
}

// meet returns when all nodes are there. From then on the loss of one ends the check.
func (c *check) meet(ctx context.Context) error {
	s := elastic.Defaults()
	s.Min, s.Max, s.JoinTimeout = c.Nodes, c.Nodes, c.Wait
	m := c.Meeting
	m.Workers, m.Settings = 1, s
	m.OpenStore = func(_ int, host string) (string, error) { return c.openStore(host) }
	var err error
	if c.meeting, err = rendezvous.Join(m); err != nil {
		return err
	}
	for {
		select {
		case o := <-c.meeting.Events():
			switch o := o.(type) {
			case elastic.Begin:
				c.number, c.rank, c.agents = o.Record.Number, o.Group, o.Record.Agents
				c.quit, c.over = make(chan struct{}), make(chan struct{})
				go c.watch()
				return c.begin(ctx, o.Store)
			case elastic.Finish:
				return errors.New(o.Outcome.Message)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch hears from the meeting until its last word, or until it is closed.
func (c *check) watch() {
	defer close(c.over)
	for {
		select {
		case o := <-c.meeting.Events():
			switch o.(type) {
			case elastic.End:
				c.cancel(errors.New("a node was lost in the middle of the check: start it again on all nodes"))
				c.meeting.Leave()
			case elastic.Finish:
				return
			}
		case <-c.quit:
			return
		}
	}
}

// openStore serves what the nodes tell one another, behind the doors of this node.
func (c *check) openStore(host string) (string, error) {
	if c.server == nil {
		server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{Logger: c.Meeting.Logger})
		if err != nil {
			return "", err
		}
		c.server = server
	}
	if c.doors == nil {
		c.doors = openDoors(c.Options, host, c.server.Addr().String())
	}
	c.opened = net.JoinHostPort(host, strconv.Itoa(c.doors.port()))
	return c.opened, nil
}

// begin opens this node's doors and finds the way to the store, whatever port leads there.
func (c *check) begin(ctx context.Context, store string) error {
	if c.doors == nil {
		c.doors = openDoors(c.Options, hostOf(c.agents[c.rank].Addr), "")
	}
	c.doors.introduce(c.agents[c.rank].ID)
	host, last, _ := net.SplitHostPort(store)
	c.judges = c.server != nil && c.opened == store
	if i := slices.IndexFunc(c.agents, func(a elastic.Agent) bool { return hostOf(a.Addr) == host }); i >= 0 {
		c.keeper = c.agents[i].Node
	}
	ports := append([]string{last}, texts(c.Ports)...)
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	conn, err := dialStore(ctx, host, ports)
	if err != nil {
		return fmt.Errorf("node %s, which keeps the report, can be met, and reached on none of the ports %v: %w", c.keeper, ports, err)
	}
	c.store = conn
	return nil
}

// part ends the meeting in agreement, so that nobody takes the end for a loss.
func (c *check) part() {
	c.meeting.Closed(c.number, elastic.Report{OK: true, Rank: -1})
	select {
	case <-c.over:
	case <-time.After(5 * time.Second): // the others will be told by their kernels
	}
}

func (c *check) close() {
	if c.over != nil {
		close(c.quit)
		<-c.over
	}
	if c.meeting != nil {
		c.meeting.Close()
	}
	if c.store != nil {
		c.store.Close()
	}
	if c.doors != nil {
		c.doors.close()
	}
	if c.server != nil {
		c.server.Close()
	}
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

func texts(numbers []int) []string {
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = strconv.Itoa(n)
	}
	return list
}
