package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ainexus.io/c10d"
)

// nodesWithin is how long the agents of other nodes get to tell where their ranks are. Their ranks stopped when ours did, so their watches
// see it within a look of ours; after their own workers were asked.
const nodesWithin = 2*look + stacksWithin

// everywhere adds the standings of the ranks on other nodes to our own. Agents meet for it in the round's store, which all of them reach:
// each leaves what it knows under a key of its own and reads the others'. Who does not come in time is left out.
func (a *agent) everywhere(r *round, own []standing) []standing {
	if a.place.groups < 2 {
		return own
	}
	ctx, cancel := context.WithTimeout(context.Background(), nodesWithin)
	defer cancel()
	key := func(group int) string { return fmt.Sprintf("nexus/hang/%d/%d", r.number, group) }
	mine, err := json.Marshal(own)
	if err != nil {
		return own
	}
	client, err := c10d.Dial(ctx, a.place.store(), c10d.ClientOptions{})
	if err != nil {
		a.log.Warn("where the ranks of other nodes are cannot be asked", "err", err)
		return own
	}
	defer client.Close()
	if err := client.Set(ctx, key(a.place.group), mine); err != nil {
		a.log.Warn("where the ranks of this node are cannot be told", "err", err)
		return own
	}
	all := slices.Clone(own)
	var missing []int
	for group := range a.place.groups {
		if group != a.place.group {
			missing = append(missing, group)
		}
	}
	for err == nil && len(missing) > 0 && ctx.Err() == nil {
		missing = slices.DeleteFunc(missing, func(group int) (there bool) {
			if err == nil {
				there, err = client.Check(ctx, key(group))
			}
			if there {
				all = append(all, theirs(ctx, client, key(group), a.place.world)...)
			}
			return there
		})
		if len(missing) > 0 {
			time.Sleep(50 * time.Millisecond)
		}
	}
	slices.SortFunc(all, func(a, b standing) int { return a.Rank - b.Rank })
	return slices.CompactFunc(all, func(a, b standing) bool { return a.Rank == b.Rank })
}

// theirs is what another agent left; nothing where it makes no sense.
func theirs(ctx context.Context, client *c10d.Client, key string, world int) []standing {
	data, err := client.Get(ctx, key)
	var list []standing
	if err != nil || json.Unmarshal(data, &list) != nil {
		return nil
	}
	return slices.DeleteFunc(list, func(s standing) bool { return s.Rank < 0 || s.Rank >= world })
}
