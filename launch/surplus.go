package launch

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ainexus.io/c10d"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// How many looks in a row all ranks have to wait for ranks that there are not until that is told, and until it ends the attempt.
// Looks, not time: an agent that was stopped for a while has seen nothing meanwhile.
const (
	surplusTold = 10
	surplusEnds = 60
)

// surplus watches for a script that asks PyTorch for more ranks than the job has. All of its ranks then wait in the store, within
// init_process_group, for ranks that never come, and PyTorch alone would give up after half an hour.
type surplus struct {
	looks int              // in a row, with the same callers that wait for the same
	wants lack             // what for
	who   []netip.AddrPort // by address
	asked []int64          // how much each had asked then
	told  bool
}

// lack is what ranks wait for in vain.
type lack struct {
	rank int // that there is not; -1: PyTorch's barrier counts the ranks without naming one
	key  string
}

// gloosRank is the key under which a rank of a process group leaves its address for the others, in PyTorch 1.13
// (default_pg/0/0/2) and since (/default_pg/0//cpu//0/2). NCCL's keys have one number less.
var gloosRank = regexp.MustCompile(`default_pg/\d+/(?:/\w+//)?\d+/(?:rank_)?(\d+)$`)

// The barrier at the end of init_process_group, in releases that have one there: 1.13 asks again and again for its count, later ones wait
// for who comes last.
var (
	barrierKey  = regexp.MustCompile(`store_based_barrier_key:[^:/]+$`)
	barrierLast = regexp.MustCompile(`(store_based_barrier_key:[^:/]+):last_worker$`)
)

// lacking reports what a caller waits for, if that is a rank beyond the world or a barrier that has counted it.
// Asked is how much it had asked at the last look.
func lacking(c c10d.Caller, asked int64, world int, counter func(key string) int64) (lack, bool) {
	barrier := ""
	switch {
	case len(c.Awaits) == 1 && barrierLast.MatchString(c.Awaits[0]):
		barrier = strings.TrimSuffix(c.Awaits[0], ":last_worker")
	case len(c.Awaits) == 0 && barrierKey.MatchString(c.Key) && c.Asked > asked: // it goes on asking: else it may be through
		barrier = c.Key
	}
	if barrier != "" {
		return lack{rank: -1, key: barrier}, counter(barrier) == int64(world)
	}
	least := lack{rank: -1}
	for _, key := range c.Awaits {
		m := gloosRank.FindStringSubmatch(key)
		if m == nil {
			return least, false
		}
		rank, err := strconv.Atoi(m[1])
		if err != nil || rank < world {
			return least, false // of a rank that may come
		}
		if least.rank < 0 || rank < least.rank {
			least = lack{rank: rank, key: key}
		}
	}
	return least, least.rank >= 0
}

// look takes in who is connected to the store of a round with so many ranks, and counts. Somebody beside the ranks who asks for
// anything, a rank that does anything else, and one that comes: each has it begin anew.
func (s *surplus) look(callers []c10d.Caller, world int, counter func(key string) int64) {
	who, asked := make([]netip.AddrPort, len(callers)), make([]int64, len(callers))
	for i, c := range callers {
		who[i], asked[i] = c.Addr, c.Asked
	}
	same := slices.Equal(who, s.who)
	before := s.asked
	s.who, s.asked = who, asked
	var all lack
	for i, c := range callers {
		last := c.Asked
		if same {
			last = before[i]
		}
		l, ok := lacking(c, last, world, counter)
		if !ok || i > 0 && l != all {
			s.looks = 0
			return
		}
		all = l
	}
	if !same || len(callers) != world || all != s.wants {
		s.looks, s.wants = 0, all
		return
	}
	s.looks++
}

// words say what the ranks wait for, and what to do.
func (s *surplus) words(world int) error {
	ranks := "1 rank (0)"
	if world > 1 {
		ranks = fmt.Sprintf("%d ranks (0 to %d)", world, world-1)
	}
	what := fmt.Sprintf("for rank %d", s.wants.rank)
	if s.wants.rank < 0 {
		what = "for more"
	}
	return sentence(fmt.Sprintf("the script wants more ranks than this job has: all of its %s wait in init_process_group %s (key %s)",
		ranks, what, firstLine(strings.TrimLeft(s.wants.key, "/"))),
		"leave world_size out of init_process_group, or pass WORLD_SIZE; for more ranks ask for more workers or nodes")
}

// lookForSurplus tells of ranks that wait for ranks which there are not, and refuses to go on with them where it is certain that nobody
// else of this attempt can come. It reports whether it does.
func (a *agent) lookForSurplus(r *round) bool {
	if a.store == nil || a.place.port != a.store.Addr().(*net.TCPAddr).Port {
		return false // another node's agent has the store
	}
	r.surplus.look(a.withoutAgents(a.store.Callers()), a.place.world, a.store.Counter)
	s := &r.surplus
	if s.looks != surplusTold && s.looks < surplusEnds {
		return false
	}
	certain := a.place.groups == 1 && onlyHere(a.store.Addr()) && a.onlyWorkers(r, s.who)
	if !s.told && (certain || s.looks >= surplusEnds && a.fromAllNodes(s.who)) {
		s.told = true
		a.warn(words(s.words(a.place.world)))
	}
	if certain && s.looks >= surplusEnds {
		r.refused = words(s.words(a.place.world))
		return true
	}
	return false
}

// onlyHere reports whether nobody from another machine can come to a store, which may have ranks that were started by other means, later.
func onlyHere(store net.Addr) bool {
	at, ok := store.(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

// warn tells who watches, now and later.
func (a *agent) warn(text string) {
	a.say(text)
	a.board.note(text)
}

// withoutAgents leaves out the agents of several nodes, which compare their ranks by the store.
func (a *agent) withoutAgents(callers []c10d.Caller) []c10d.Caller {
	if a.place.groups == 1 {
		return callers
	}
	return slices.DeleteFunc(callers, func(c c10d.Caller) bool { return strings.HasPrefix(c.Key, "/nexus/") })
}

// onlyWorkers reports whether each of the connections is of another worker of ours, and whether beside the workers, and the shells that
// wait for them, no process of the attempt lives. Else more ranks may be on their way, as with torch.multiprocessing.spawn.
func (a *agent) onlyWorkers(r *round, ends []netip.AddrPort) bool {
	known, left := map[int]bool{}, slices.Clone(ends)
	for _, p := range r.workers {
		rank := p.PID
		if children := proc.ChildrenOf(p.PID); r.program.shell && len(children) == 1 && sameProgram(proc.Program(p.PID), shell) {
			rank = children[0]
		}
		known[p.PID], known[rank] = true, true
		mine := 0
		for _, end := range proc.ConnectionsTo(rank, uint16(a.place.port)) {
			if i := slices.Index(left, end); i >= 0 {
				left = slices.Delete(left, i, i+1)
				mine++
			}
		}
		if mine != 1 {
			return false
		}
	}
	return len(left) == 0 && !slices.ContainsFunc(proc.Members(a.name, a.cgroup.String()), func(pid int) bool { return !known[pid] })
}

// fromAllNodes reports whether as many of the connections come from each node as it has workers.
func (a *agent) fromAllNodes(ends []netip.AddrPort) bool {
	if a.place.groups == 1 {
		return true
	}
	from := map[string]int{}
	for _, end := range ends {
		from[end.Addr().String()]++
	}
	for host, workers := range a.place.hosts {
		if from[host] != workers {
			return false
		}
	}
	return true
}

// refusal is the ending of a round whose ranks wait for ranks that there are not. It is no failure of the moment: the next round would end
// the same, so it is not restarted.
func refusal(why string) ending {
	return ending{cause: nexus.CauseSetup, rank: -1, exit: 1, message: why, lost: 0}
}
