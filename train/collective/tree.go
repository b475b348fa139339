package collective

// treeLimit is the largest all-reduce that goes over the tree; measured on loopback, where the ring overtakes it.
const treeLimit = 32 << 10

// treeReduce folds buf towards the circle's first place: children first, nearest first, so that the order of additions is fixed.
// Header and payload of a small message go in one write and come in one read.
func (g *Group) treeReduce(c *circle, buf []byte, f fold) error {
	for _, child := range c.children {
		frame := g.message[:headerSize+len(buf)]
		if err := g.readFrame(child, frame); err != nil {
			return err
		}
		if len(buf) > 0 {
			f.into(buf, buf, frame[headerSize:])
		}
	}
	if c.parent == nil {
		return nil
	}
	return c.parent.write(nil, g.frame(buf))
}

// treeSpread copies the first place's buf to all others.
func (g *Group) treeSpread(c *circle, buf []byte) error {
	if c.parent != nil {
		frame := g.message[:headerSize+len(buf)]
		if err := g.readFrame(c.parent, frame); err != nil {
			return err
		}
		copy(buf, frame[headerSize:])
	}
	if len(c.children) == 0 {
		return nil
	}
	frame := g.frame(buf)
	for i := len(c.children) - 1; i >= 0; i-- { // the deepest subtree first
		if err := c.children[i].write(nil, frame); err != nil {
			return err
		}
	}
	return nil
}

// frame puts the current header and buf together. Lengths must be a multiple of the element size: headerSize is, so
// payloads stay aligned.
func (g *Group) frame(buf []byte) []byte {
	frame := g.message[:headerSize+len(buf)]
	g.current.put(frame)
	copy(frame[headerSize:], buf)
	return frame
}

// readFrame fills frame from the link. The header is looked at as soon as it is there, since a peer in another
// collective may never send the rest.
func (g *Group) readFrame(l *link, frame []byte) error {
	have := 0
	for have < headerSize {
		n, err := l.readSome(frame[have:])
		if err != nil {
			return err
		}
		have += n
	}
	if err := g.same(l, frame[:headerSize]); err != nil {
		return err
	}
	return l.readFull(frame[have:])
}

// spread copies the buf of the place root to all others along the tree's edges, in pieces that are passed on as they
// come.
func (g *Group) spread(c *circle, buf []byte, root int) error {
	var from *link
	if c.place != root {
		from = g.linkTo(c.ranks[hop(c.place, root, c.size())])
		if err := g.expect(from); err != nil {
			return err
		}
	}
	head := &g.current
	for first := true; first || len(buf) > 0; first = false {
		piece := buf[:min(len(buf), scratchSize)]
		if from != nil {
			if err := from.readFull(piece); err != nil {
				return err
			}
		}
		if err := g.passOn(c, head, piece, from); err != nil {
			return err
		}
		buf, head = buf[len(piece):], nil
	}
	return nil
}

// passOn writes a piece to every neighbour in the tree except the one it came from.
func (g *Group) passOn(c *circle, head *header, piece []byte, from *link) error {
	for i := len(c.children) - 1; i >= 0; i-- {
		if l := c.children[i]; l != from {
			if err := l.write(head, piece); err != nil {
				return err
			}
		}
	}
	if c.parent != nil && c.parent != from {
		return c.parent.write(head, piece)
	}
	return nil
}
