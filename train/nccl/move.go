//go:build linux && (amd64 || arm64) && !nogpu

package nccl

func kindOf(bits int) int32 {
	if bits == 64 {
		return typeFloat64
	}
	return typeFloat32
}

// AllReduce adds up in place.
func (c *carrier) AllReduce(data []byte, bits int) error {
	const doing = "all-reduce"
	kind := kindOf(bits)
	return c.run(doing, func() error {
		if err := c.room(&c.in, &c.inHas, min(len(data), chunk)); err != nil {
			return err
		}
		return pieces(len(data), chunk, func(lo, hi int) error {
			if err := c.send(c.in, data[lo:hi]); err != nil {
				return err
			}
			if err := c.call(doing, c.nccl.allReduce(c.in, c.in, uint64((hi-lo)*8/bits), kind, opSum, c.comm, c.stream)); err != nil {
				return err
			}
			return c.fetch(data[lo:hi], c.in)
		})
	}, data)
}

// Broadcast copies root's data to all.
func (c *carrier) Broadcast(data []byte, root int) error {
	const doing = "broadcast"
	return c.run(doing, func() error {
		if err := c.room(&c.in, &c.inHas, min(len(data), chunk)); err != nil {
			return err
		}
		return pieces(len(data), chunk, func(lo, hi int) error {
			if c.rank == root {
				if err := c.send(c.in, data[lo:hi]); err != nil {
					return err
				}
			}
			if err := c.call(doing, c.nccl.broadcast(c.in, c.in, uint64(hi-lo), typeUint8, int32(root), c.comm, c.stream)); err != nil {
				return err
			}
			if c.rank == root {
				return nil
			}
			return c.fetch(data[lo:hi], c.in)
		})
	}, data)
}

// AllGather collects src of all in dst. A piece of everybody's is gathered at a time.
func (c *carrier) AllGather(dst, src []byte) error {
	const doing = "all-gather"
	part := c.part(len(src))
	return c.run(doing, func() error {
		if err := c.rooms(part, part*c.size); err != nil {
			return err
		}
		return pieces(len(src), part, func(lo, hi int) error {
			n := hi - lo
			if err := c.send(c.in, src[lo:hi]); err != nil {
				return err
			}
			if err := c.call(doing, c.nccl.allGather(c.in, c.out, uint64(n), typeUint8, c.comm, c.stream)); err != nil {
				return err
			}
			for rank := range c.size {
				at := rank * len(src)
				if err := c.fetch(dst[at+lo:at+hi], c.out+devicePtr(rank*n)); err != nil {
					return err
				}
			}
			return nil
		})
	}, dst, src)
}

// ReduceScatter adds src up and leaves this rank's part in dst.
func (c *carrier) ReduceScatter(dst, src []byte, bits int) error {
	const doing = "reduce-scatter"
	kind, part := kindOf(bits), c.part(len(dst))
	return c.run(doing, func() error {
		if err := c.rooms(part*c.size, part); err != nil {
			return err
		}
		return pieces(len(dst), part, func(lo, hi int) error {
			n := hi - lo
			for rank := range c.size {
				at := rank * len(dst)
				if err := c.send(c.in+devicePtr(rank*n), src[at+lo:at+hi]); err != nil {
					return err
				}
			}
			if err := c.call(doing, c.nccl.reduceScatter(c.in, c.out, uint64(n*8/bits), kind, opSum, c.comm, c.stream)); err != nil {
				return err
			}
			return c.fetch(dst[lo:hi], c.out)
		})
	}, dst, src)
}

// part is how much of each rank's piece is moved at a time, so that all pieces together are about a chunk; whole elements.
func (c *carrier) part(bytes int) int { return max(8, min(bytes, chunk/max(1, c.size)&^7)) }

func (c *carrier) rooms(in, out int) error {
	if err := c.room(&c.in, &c.inHas, in); err != nil {
		return err
	}
	return c.room(&c.out, &c.outH, out)
}

// pieces cuts [0, total) into pieces of at most size.
func pieces(total, size int, do func(lo, hi int) error) error {
	for lo := 0; lo < total; lo += size {
		if err := do(lo, min(lo+size, total)); err != nil {
			return err
		}
	}
	return nil
}
