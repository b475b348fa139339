package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
)

// together compares the ranks of several nodes. Each agent leaves what its ranks told under a key of its own in the round's store. The
// first one alone reads all of them, judges, and leaves who is suspect; the others read that. So a look costs the store three small
// requests per node, however many nodes there are.
type together struct {
	place place
	round int
	own   chan []elastic.Worked // what the ranks here told last
	found chan []nexus.Suspect  // who is suspect, where that has changed
	quit  context.CancelFunc
	done  chan struct{}
}

// togetherEvery is how many looks of the agent one at all nodes takes, and looksWithin how long the store gets for it.
const (
	togetherEvery = 2
	looksWithin   = 10 * time.Second
)

func compareNodes(p place, round int) *together {
	ctx, quit := context.WithCancel(context.Background())
	t := &together{
		place: p, round: round, own: make(chan []elastic.Worked, 1), found: make(chan []nexus.Suspect, 1), quit: quit, done: make(chan struct{}),
	}
	go t.run(ctx)
	return t
}

// look leaves what the ranks here told and takes what is known of all. It does not wait for the store.
func (t *together) look(own []elastic.Worked) (suspects []nexus.Suspect, changed bool) {
	select {
	case t.own <- own:
	default: // the store is slow
	}
	select {
	case suspects = <-t.found:
		return suspects, true
	default:
		return nil, false
	}
}

// run carries between the agent and the store. A store that is lost is looked for again, for as long as the round lasts.
func (t *together) run(ctx context.Context) {
	defer close(t.done)
	var client *c10d.Client
	var pace elastic.Pace
	var last []nexus.Suspect
	for {
		var own []elastic.Worked
		select {
		case <-ctx.Done():
			if client != nil {
				client.Close()
			}
			return
		case own = <-t.own:
		}
		suspects, err := t.meet(ctx, &client, &pace, own)
		if err != nil {
			if client != nil {
				client.Close()
				client = nil
			}
			continue
		}
		if slices.Equal(suspects, last) {
			continue
		}
		last = suspects
		select {
		case t.found <- suspects:
		case <-ctx.Done():
		}
	}
}

// meet is one look at all nodes.
func (t *together) meet(ctx context.Context, client **c10d.Client, pace *elastic.Pace, own []elastic.Worked) (suspects []nexus.Suspect, err error) {
	ctx, cancel := context.WithTimeout(ctx, looksWithin)
	defer cancel()
	if *client == nil {
		if *client, err = c10d.Dial(ctx, t.place.store(), c10d.ClientOptions{}); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(own)
	if err != nil {
		return nil, err
	}
	if err := (*client).Set(ctx, t.key(t.place.group), data); err != nil {
		return nil, err
	}
	if t.place.group > 0 {
		return t.heard(ctx, *client)
	}
	told, err := t.told(ctx, *client)
	if err != nil {
		return nil, err
	}
	if told != nil && pace.Look(told) {
		data, err := json.Marshal(pace.Suspects())
		if err != nil {
			return nil, err
		}
		if err := (*client).Set(ctx, t.verdict(), data); err != nil {
			return nil, err
		}
	}
	return pace.Suspects(), nil
}

func (t *together) key(group int) string { return fmt.Sprintf("nexus/pace/%d/%d", t.round, group) }
func (t *together) verdict() string      { return fmt.Sprintf("nexus/pace/%d/suspects", t.round) }

// told is what all ranks of the round told last, in their order; nil as long as a node has told nothing yet.
func (t *together) told(ctx context.Context, client *c10d.Client) ([]elastic.Worked, error) {
	keys := make([]string, t.place.groups)
	for group := range keys {
		keys[group] = t.key(group)
	}
	if there, err := client.Check(ctx, keys...); err != nil || !there {
		return nil, err
	}
	values, err := client.MultiGet(ctx, keys...)
	if err != nil {
		return nil, err
	}
	all := make([]elastic.Worked, t.place.world)
	for rank := range all {
		all[rank].Rank = rank
	}
	for group, value := range values {
		var list []elastic.Worked
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, fmt.Errorf("what node %d told of its ranks: %w", group, err)
		}
		for _, w := range list {
			if w.Rank < 0 || w.Rank >= len(all) {
				return nil, errors.New("a node told of a rank that is not in this round")
			}
			all[w.Rank] = w
		}
	}
	return all, nil
}

// heard is what the first agent left.
func (t *together) heard(ctx context.Context, client *c10d.Client) (suspects []nexus.Suspect, err error) {
	if there, err := client.Check(ctx, t.verdict()); err != nil || !there {
		return nil, err
	}
	data, err := client.Get(ctx, t.verdict())
	if err != nil {
		return nil, err
	}
	return suspects, json.Unmarshal(data, &suspects)
}

// stop ends it and waits for it; nil is none.
func (t *together) stop() {
	if t != nil {
		t.quit()
		<-t.done
	}
}
