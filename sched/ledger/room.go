package ledger

import "ainexus.io/nexus"

// Room is what one node still has to give.
type Room struct {
	Node   *nexus.Node
	CPU    nexus.CPU
	Memory nexus.MiB
	GPUs   []GPURoom // parallel to Node.GPUs
	Jobs   int       // how many hold something here
}

// GPURoom is what one device still has to give.
type GPURoom struct {
	Whole bool      // nobody has any part of it and it is well
	Share nexus.MiB // the largest share that fits
	Jobs  int       // how many have a part of it
}

// Room fills r with what is free on a node and reports whether there is such a node. It reuses r's memory.
func (l *Ledger) Room(name string, r *Room) bool {
	a := l.accounts[name]
	if a == nil || !a.known {
		return false
	}
	a.room(&a.node, r)
	return true
}

// RoomAt is [Ledger.Room] of the node in a slot.
func (l *Ledger) RoomAt(slot int, r *Room) {
	a := l.known[slot]
	a.room(&a.node, r)
}

func (u *sums) room(n *nexus.Node, r *Room) {
	r.Node, r.Jobs = n, u.jobs
	r.CPU = max(0, n.CPU-n.Taken.CPU-u.cpu)
	r.Memory = max(0, n.Memory-n.Taken.Memory-u.memory)
	r.GPUs = r.GPUs[:0]
	for i := range u.gpus {
		g, d := u.gpus[i], &n.GPUs[i]
		r.GPUs = append(r.GPUs, GPURoom{
			Whole: g.whole+g.sharers == 0 && !d.Taken && d.Problem == "",
			Share: free(d, g),
			Jobs:  g.whole + g.sharers,
		})
	}
}

// free is the largest share that the device can still take: never more than is left of its memory by the
// account, and never what others than our jobs were last seen to use. What our own shares asked for and do
// not use yet is theirs, so this is also the driver's free memory less the unused parts of our shares.
func free(d *nexus.GPU, g gpuAccount) nexus.MiB {
	if g.whole > 0 || d.Taken || d.Problem != "" {
		return 0
	}
	return max(0, d.Usable()-d.Foreign-g.shares)
}

// Empty fills r with what a node could give if nobody were on it, strangers included.
// With ailing, devices with a problem count as well.
func Empty(n *nexus.Node, ailing bool, r *Room) {
	r.Node, r.Jobs, r.CPU, r.Memory, r.GPUs = n, 0, n.CPU, n.Memory, r.GPUs[:0]
	for i := range n.GPUs {
		room := GPURoom{Whole: true, Share: n.GPUs[i].Usable()}
		if n.GPUs[i].Problem != "" && !ailing {
			room = GPURoom{}
		}
		r.GPUs = append(r.GPUs, room)
	}
}

// Narrow leaves of r what o has too. Both are rooms of the same node.
func (r *Room) Narrow(o *Room) {
	r.CPU, r.Memory = min(r.CPU, o.CPU), min(r.Memory, o.Memory)
	for i := range r.GPUs {
		r.GPUs[i].Whole = r.GPUs[i].Whole && o.GPUs[i].Whole
		r.GPUs[i].Share = min(r.GPUs[i].Share, o.GPUs[i].Share)
	}
}

// Takes reports whether a seat could be taken from the room. It looks at amounts only, not at the node's
// state.
func (r *Room) Takes(s nexus.Seat) bool {
	if s.CPU > r.CPU || s.Memory > r.Memory {
		return false
	}
	for _, g := range s.GPUs {
		i := find(r.Node, g)
		if i < 0 || s.Share > r.GPUs[i].Share || s.Share == 0 && !r.GPUs[i].Whole {
			return false
		}
	}
	return true
}

// Fits reports whether a seat could be taken now.
func (l *Ledger) Fits(s nexus.Seat) bool { return l.Room(s.Node, &l.scratch) && l.scratch.Takes(s) }

// Sheet is a copy of a node's account to try things out on: the ledger does not change with it.
type Sheet struct {
	node *nexus.Node
	sums
}

// Copy fills a sheet with how a node stands and reports whether there is such a node. It reuses the sheet's memory.
func (l *Ledger) Copy(name string, to *Sheet) bool {
	a := l.accounts[name]
	if a == nil || !a.known {
		return false
	}
	gpus := append(to.gpus[:0], a.gpus...)
	to.node, to.sums = &a.node, a.sums
	to.gpus = gpus
	return true
}

// Take books a seat on the sheet, whether or not it fits, and Give gives it back.
func (s *Sheet) Take(seat *nexus.Seat) { s.count(s.node, seat, 1) }

// Give is the inverse of Take.
func (s *Sheet) Give(seat *nexus.Seat) { s.count(s.node, seat, -1) }

// Room fills r with what is free on the sheet.
func (s *Sheet) Room(r *Room) { s.room(s.node, r) }
