package collective

// How a buffer goes through shared memory. It is cut into blocks, and a rank takes three steps with each: it puts what
// others need of its data into its slot (fill), reduces or takes what others put there (fold), and takes what others
// reduced (collect). A rank does whichever step the others have made possible, the furthest block first, and waits only
// when there is none: with eight slots it may be that far ahead of the slowest, so that ranks that share a processor
// change places seldom.
//
// Small all-reduces have no third step: everybody reduces everything. Sums are added up in the order in which tree and
// ring add them over TCP, so that the bits do not depend on the transport.

// work is one collective on one host.
type work struct {
	kind     kind
	buf      []byte // all-reduce, broadcast; all-gather: the result
	src, dst []byte // reduce-scatter, all-gather
	unit     int    // bytes per element
	fold     fold
	root     int  // broadcast: a place
	flat     bool // all-reduce: everybody reduces everything
	tree     bool // all-reduce: in the tree's order, else the ring's
	share    int  // reduce-scatter: bytes of a block for each rank
}

const (
	// grain is how much is reduced at a time: the pieces of a few ranks fit into the fastest cache.
	grain = 8 << 10
	// flatLimit is how much a rank reads of others in an all-reduce where everybody reduces everything, a first guess.
	flatLimit = 64 << 10
)

// pending is what a rank waits for when it can take no step.
type pending struct {
	place, counter int
	target         uint32
}

// run does one collective.
func (l *local) run(w work) error {
	w.flat = w.kind != kindAllReduce || len(w.buf)*(len(l.ranks)-1) <= flatLimit
	w.tree = len(w.buf) <= treeLimit
	w.share = l.slot / len(l.ranks) &^ 63
	l.work = w
	n, at := l.blocks(), l.block
	var filled, folded, collected uint32
	for collected < n {
		wait := pending{place: -1}
		switch {
		case collected < folded && l.passed(&wait, done, at+collected+1):
			l.collect(at+collected, int(collected)*l.slot)
			collected++
			l.publish(out, at+collected)
		case folded < filled && l.passed(&wait, in, at+folded+1):
			if err := l.agree(at + folded); err != nil {
				return err
			}
			l.reduce(at+folded, int(folded))
			folded++
			if w.flat {
				collected++
				l.mine.counter[done].Store(at + folded) // nobody waits for it
				l.publish(out, at+collected)
			} else {
				l.publish(done, at+folded)
			}
		case filled < n && l.passed(&wait, out, at+filled+1-slots):
			l.g.current.put(l.mine.header(at + filled))
			l.fill(at+filled, int(filled))
			filled++
			l.publish(in, at+filled)
		default:
			if err := l.await(wait); err != nil {
				return err
			}
		}
	}
	l.block = at + n
	l.work = work{}
	return nil
}

// passed reports whether the others' counters have reached target. If not, wait says who has not, unless an older step
// waits already.
func (l *local) passed(wait *pending, counter int, target uint32) bool {
	for place, s := range l.seg {
		if !s.reached(counter, target) && l.matters(place, counter) {
			if wait.place < 0 {
				*wait = pending{place, counter, target}
			}
			return false
		}
	}
	return true
}

// matters is false for the data of those from whom a broadcast takes none.
func (l *local) matters(place, counter int) bool {
	return counter != in || l.work.kind != kindBroadcast || place == l.work.root
}

// agree checks that those whose data comes next are in this collective too.
func (l *local) agree(block uint32) error {
	for place := range l.seg {
		if l.matters(place, in) {
			if err := l.same(place, block); err != nil {
				return err
			}
		}
	}
	return nil
}

// blocks is how many blocks the collective has; at least one, by which the ranks find out that they agree.
func (l *local) blocks() uint32 {
	w := &l.work
	total, each := len(w.buf), l.slot
	switch w.kind {
	case kindReduceScatter:
		total, each = len(w.dst), w.share
	case kindAllGather:
		total = len(w.src)
	}
	return uint32(max(1, (total+each-1)/each))
}

// piece is the i-th of the pieces of size bytes that buf is cut into.
func piece(buf []byte, i, size int) []byte {
	return buf[min(i*size, len(buf)):min((i+1)*size, len(buf))]
}

// fill puts what others need of the i-th block into the slot.
func (l *local) fill(block uint32, i int) {
	w, slot := &l.work, l.mine.slot(block, l.slot)
	switch {
	case w.kind == kindAllReduce && w.flat:
		copy(slot, w.buf)
	case w.kind == kindAllReduce:
		data := piece(w.buf, i, l.slot)
		lo, hi := l.part(len(data), l.place)
		copy(slot, data[:lo])
		copy(slot[hi:], data[hi:])
	case w.kind == kindReduceScatter:
		for place := range l.seg {
			if place != l.place {
				copy(slot[place*w.share:], piece(w.src[place*len(w.dst):(place+1)*len(w.dst)], i, w.share))
			}
		}
	case w.kind == kindAllGather:
		copy(slot, piece(w.src, i, l.slot))
	case w.kind == kindBroadcast && l.place == w.root:
		copy(slot, piece(w.buf, i, l.slot))
	}
}

// part returns the bytes that a place reduces of a block of size bytes.
func (l *local) part(size, place int) (lo, hi int) {
	lo, hi = span(size/l.work.unit, len(l.ranks), place)
	return lo * l.work.unit, hi * l.work.unit
}

// collect takes what the others reduced of a block of a large all-reduce, which begins at byte off.
func (l *local) collect(block uint32, off int) {
	data := l.work.buf[off:min(off+l.slot, len(l.work.buf))]
	for place, s := range l.seg {
		if place != l.place {
			lo, hi := l.part(len(data), place)
			copy(data[lo:hi], s.slot(block, l.slot)[lo:hi])
		}
	}
}

// reduce makes of the others' i-th block what this rank makes of it.
func (l *local) reduce(block uint32, i int) {
	w := &l.work
	for place, s := range l.seg {
		l.from[place] = s.slot(block, l.slot)
	}
	switch w.kind {
	case kindAllReduce:
		if w.flat {
			l.sum(w.buf, 0, 0)
			return
		}
		data := piece(w.buf, i, l.slot)
		lo, hi := l.part(len(data), l.place)
		result := l.from[l.place][lo:hi] // nobody else needs what this rank has there
		l.from[l.place] = data
		for at := lo; at < hi; at += grain {
			to := min(at+grain, hi)
			l.sum(result[at-lo:to-lo], at, i*l.slot+at)
			copy(data[at:to], result[at-lo:])
		}
	case kindReduceScatter:
		for place := range l.from {
			l.from[place] = l.from[place][l.place*w.share:]
		}
		l.from[l.place] = piece(w.src[l.place*len(w.dst):(l.place+1)*len(w.dst)], i, w.share)
		l.sum(piece(w.dst, i, w.share), 0, 0)
	case kindAllGather:
		for place := range l.from {
			if place != l.place {
				copy(piece(w.buf[place*len(w.src):(place+1)*len(w.src)], i, l.slot), l.from[place])
			}
		}
	case kindBroadcast:
		if l.place != w.root {
			copy(piece(w.buf, i, l.slot), l.from[w.root])
		}
	}
}
