package collective

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
)

// seat is what a rank says about itself at the store: where it listens and, if it offers memory to the other ranks of
// its host, what host that is and how they find it.
type seat struct {
	address string
	host    string // empty: none
	pid, fd int
	token   string // what its memory begins with
}

func (s seat) String() string {
	if s.host == "" {
		return s.address
	}
	return fmt.Sprintf("%s %s %d %d %s", s.address, s.host, s.pid, s.fd, hex.EncodeToString([]byte(s.token)))
}

func parseSeat(text string) (seat, error) {
	words := strings.Fields(text)
	if len(words) == 1 {
		return seat{address: words[0]}, nil
	}
	var s seat
	var token string
	if len(words) != 5 {
		return s, fmt.Errorf("a rank said %q about itself", text)
	}
	if _, err := fmt.Sscan(text, &s.address, &s.host, &s.pid, &s.fd, &token); err != nil {
		return s, fmt.Errorf("a rank said %q about itself: %w", text, err)
	}
	bytes, err := hex.DecodeString(token)
	s.token = string(bytes)
	return s, err
}

// exchange tells the store about this rank and returns what all said, in the order of ranks. Rank 0 collects, so that
// the store answers twice for each rank and not once for each pair.
func exchange(ctx context.Context, c Config, mine seat) ([]seat, error) {
	if err := c.Store.Set(ctx, c.addressKey(c.Rank), []byte(mine.String())); err != nil {
		return nil, fmt.Errorf("telling the store where rank %d listens: %w", c.Rank, err)
	}
	whole := c.Prefix + "seats"
	if c.Rank == 0 {
		lines := make([]string, c.Size)
		for rank := range lines {
			text, err := c.Store.Get(ctx, c.addressKey(rank))
			if err != nil {
				return nil, fmt.Errorf("asking the store where rank %d listens: %w", rank, err)
			}
			lines[rank] = string(text)
		}
		if err := c.Store.Set(ctx, whole, []byte(strings.Join(lines, "\n"))); err != nil {
			return nil, fmt.Errorf("telling the store where all ranks listen: %w", err)
		}
	}
	text, err := c.Store.Get(ctx, whole)
	if err != nil {
		return nil, fmt.Errorf("asking the store where all ranks listen: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != c.Size {
		return nil, fmt.Errorf("the store knows %d ranks, not %d", len(lines), c.Size)
	}
	seats := make([]seat, c.Size)
	for rank, line := range lines {
		if seats[rank], err = parseSeat(line); err != nil {
			return nil, fmt.Errorf("rank %d: %w", rank, err)
		}
	}
	return seats, nil
}

// hosts groups ranks by host, each group in rising order and the groups by their first rank. A rank that offers no
// memory is a host of its own.
func hosts(seats []seat) [][]int {
	var list [][]int
	at := make(map[string]int)
	for rank, s := range seats {
		i, known := at[s.host]
		if !known || s.host == "" {
			i = len(list)
			at[s.host] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], rank)
	}
	return list
}
