package collective

import "math/bits"

// sum reduces what lies at byte lo of every place's data into dst, which is no part of it. Of an all-reduce, off is where
// dst begins in the whole buffer.
func (l *local) sum(dst []byte, lo, off int) {
	w := &l.work
	for len(dst) > 0 {
		n := min(len(dst), grain)
		switch {
		case w.kind == kindReduceScatter: // as the ring brings them: this rank's own comes last
			l.chain(dst[:n], lo, (l.place+1)%len(l.ranks))
		case w.tree:
			l.subtree(dst[:n], lo, 0, 0)
		default:
			var start int
			start, n = l.ringPart(off, n)
			l.chain(dst[:n], lo, start)
		}
		if w.fold.divide != nil {
			w.fold.divide(dst[:n], l.g.size)
		}
		dst, lo, off = dst[n:], lo+n, off+n
	}
}

// ringPart returns the part of the whole buffer that byte off is in, which is the place whose data the ring begins it
// with, and how many of the next n bytes are in it too.
func (l *local) ringPart(off, n int) (part, within int) {
	count, places := len(l.work.buf)/l.work.unit, len(l.ranks)
	at := off / l.work.unit
	part = at / (count/places + 1) // not above the one that is looked for
	for {
		_, hi := span(count, places, part)
		if at < hi {
			return part, min(n, (hi-at)*l.work.unit)
		}
		part++
	}
}

// chain adds up from one place on, around the ring.
func (l *local) chain(dst []byte, lo, start int) {
	n, hi := len(l.ranks), lo+len(dst)
	acc := l.from[start][lo:hi]
	for k := 1; k < n; k++ {
		l.work.fold.into(dst, acc, l.from[(start+k)%n][lo:hi])
		acc = dst
	}
}

// subtree adds up a place and what hangs below it in the binomial tree, nearest child first.
func (l *local) subtree(dst []byte, lo, place, depth int) {
	n, hi := len(l.ranks), lo+len(dst)
	width := bits.Len(uint(n))
	if place > 0 {
		width = bits.TrailingZeros(uint(place))
	}
	acc := l.from[place][lo:hi]
	for k := range width {
		child := place | 1<<k
		if child == place || child >= n {
			continue
		}
		term := l.from[child][lo:hi]
		if child&1 == 0 && child|1 < n { // it has children itself
			term = l.spare[depth][:len(dst)]
			l.subtree(term, lo, child, depth+1)
		}
		l.work.fold.into(dst, acc, term)
		acc = dst
	}
}
