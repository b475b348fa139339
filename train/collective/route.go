package collective

// The way of a collective: through memory where all ranks are on one host; over TCP where no two are; and both where
// hosts have several ranks each: through memory to the first rank of a host, over TCP among those, and back through
// memory. Parts of buffers, which reduce-scatter and all-gather deal in, go over TCP alone there.

// inside runs one collective among the ranks of this host.
func (g *Group) inside(w work) error {
	if g.local == nil {
		return nil
	}
	return g.local.run(w)
}

func (g *Group) barrier() error {
	if g.size == 1 {
		return nil
	}
	circle := &g.all
	if g.shared {
		if err := g.inside(work{kind: kindBarrier}); err != nil || g.heads.size() == 1 {
			return err
		}
		circle = &g.heads
	}
	err := g.treeReduce(circle, nil, fold{})
	if err == nil {
		err = g.treeSpread(circle, nil)
	}
	if err == nil && g.shared {
		err = g.inside(work{kind: kindBarrier})
	}
	return err
}

func (g *Group) reduce(buf []byte, e elem, op Op) error {
	f := foldOf(e, op)
	if g.size == 1 {
		return nil
	}
	if !g.shared {
		return g.reduceOver(&g.all, buf, e.size(), f)
	}
	inside := f
	if g.heads.size() > 1 {
		inside.divide = nil // once, by those who have the whole sum
	}
	err := g.inside(work{kind: kindAllReduce, buf: buf, unit: e.size(), fold: inside})
	if err != nil || g.heads.size() == 1 {
		return err
	}
	if err := g.reduceOver(&g.heads, buf, e.size(), f); err != nil {
		return err
	}
	return g.inside(work{kind: kindBroadcast, buf: buf})
}

// reduceOver reduces among the ranks of a circle: up and down the tree, which sends few messages, or around the ring,
// which sends few bytes.
func (g *Group) reduceOver(c *circle, buf []byte, unit int, f fold) error {
	if c.place < 0 {
		return nil
	}
	if len(buf) > treeLimit {
		return g.stream.run(lap{
			circle: c, head: g.current, buf: buf, unit: unit, size: c.size(), fold: f,
			first: c.place, folds: c.size() - 1, steps: 2 * (c.size() - 1),
		})
	}
	if err := g.treeReduce(c, buf, f); err != nil {
		return err
	}
	if c.place == 0 && f.divide != nil {
		f.divide(buf, g.size)
	}
	return g.treeSpread(c, buf)
}

func (g *Group) scatter(dst, src []byte, e elem, op Op) error {
	f := foldOf(e, op)
	switch {
	case g.size == 1:
		copy(dst, src)
		return nil
	case g.shared && g.heads.size() == 1:
		return g.inside(work{kind: kindReduceScatter, dst: dst, src: src, unit: e.size(), fold: f})
	}
	if cap(g.work) < len(src) {
		g.work = aligned(len(src))
	}
	work := g.work[:len(src)]
	copy(work, src)
	err := g.stream.run(lap{
		circle: &g.all, head: g.current, buf: work, unit: e.size(), size: g.size, fold: f,
		first: (g.rank + g.size - 1) % g.size, folds: g.size - 1, steps: g.size - 1,
	})
	if err == nil {
		copy(dst, work[g.rank*len(dst):])
	}
	return err
}

func (g *Group) gather(dst, src []byte, e elem) error {
	copy(dst[g.rank*len(src):], src)
	switch {
	case g.size == 1:
		return nil
	case g.shared && g.heads.size() == 1:
		return g.inside(work{kind: kindAllGather, buf: dst, src: src, unit: e.size()})
	}
	return g.stream.run(lap{
		circle: &g.all, head: g.current, buf: dst, unit: e.size(), size: g.size, first: g.rank, steps: g.size - 1,
	})
}

func (g *Group) broadcast(buf []byte, root int) error {
	if g.size == 1 {
		return nil
	}
	if !g.shared {
		return g.spread(&g.all, buf, root)
	}
	from := g.spots[root]
	here := from.host == g.spots[g.rank].host
	if here {
		if err := g.inside(work{kind: kindBroadcast, buf: buf, root: from.place}); err != nil {
			return err
		}
	}
	if g.heads.size() > 1 && g.heads.place >= 0 {
		if err := g.spread(&g.heads, buf, from.host); err != nil {
			return err
		}
	}
	if !here {
		return g.inside(work{kind: kindBroadcast, buf: buf})
	}
	return nil
}
