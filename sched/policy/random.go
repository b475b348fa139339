package policy

import "hash/fnv"

// Random draws a node: the score is a hash of the seed, of the node with what is free on it, and of the
// request, so a node is drawn anew whenever it changes. A share goes to the tightest device.
type Random struct{ Seed int64 }

// Score implements [Scorer].
func (p Random) Score(s *Site, r *Request) (int64, int) {
	h := fnv.New64a()
	var word [8]byte
	put := func(v uint64) {
		for i := range word {
			word[i] = byte(v >> (8 * i))
		}
		h.Write(word[:])
	}
	put(uint64(p.Seed))
	for i := range len(s.Name) {
		put(uint64(s.Name[i]))
	}
	put(uint64(s.CPU))
	put(uint64(s.Memory))
	for i := range s.GPUs {
		put(uint64(s.GPUs[i].Free))
	}
	put(uint64(r.CPU))
	put(uint64(r.Memory))
	put(uint64(r.GPUs))
	put(uint64(r.Share))
	put(r.Models)
	return int64(h.Sum64() >> 2), tightest(s, r.Share)
}
