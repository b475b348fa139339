package c10d

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// A request that is not complete and longer than this goes to goroutines of its connection: the loop looks at what it
	// has of a request anew whenever more of it comes.
	loopKeeps = 4 << 10
	loopReads = 64 << 10 // at a time
	// How long after a request, once to twice this, the thread waits for the next one without telling Go's scheduler. While it
	// does, its processor is not another goroutine's; but told of it, Go's monitor goes to sleep, and wakes up with the next
	// request to look after the thread every 20 microseconds for a while, which cost a client 5 microseconds of 35.
	loopLingers = 100 * time.Millisecond
	// Who sends a request that has no answer, a set, goes on at once and would have to wake the thread for each of those that
	// follow, which costs him more than the request. So where nobody else asks, the thread naps, and looks for what came meanwhile, until
	// nothing has for so long; and after a turn of that looks for other clients.
	loopNap   = 20 * time.Microsecond // and what the kernel adds, some 50
	loopLooks = 100 * time.Microsecond
	loopTurn  = time.Millisecond
)

// loop serves the connections of a server from one thread that waits in epoll, as PyTorch's own server does from one. A goroutine
// in its place is woken through Go's poller and scheduler, and a lone client waits for that.
//
// It takes only what needs no waiting: whole requests that are answered at once, in releases that are known. All else,
// errors too, it hands over with the connection and for good: to goroutines, which may wait.
type loop struct {
	server *Server
	epoll  int
	bell   int   // an event, for the loop to end
	clock  timer // one setting for many waits: a limit for each would have the kernel set its timer each time
	in     *wireReader
	buf    []byte

	mu    sync.Mutex
	peers map[int32]*loopPeer

	silent  bool      // the last request had no answer
	lingers bool      // the clock is set
	asked   bool      // since the last tick
	partial int       // how many have sent part of a request
	look    time.Time // when to look who of them stalls
}

// loopPeer is a connection in the loop. The loop alone reads and closes it.
type loopPeer struct {
	*peer
	socket
	rest  []byte // the beginning of a request
	since time.Time
}

// socket is what an outbox knows of a connection in the loop.
type socket struct {
	fd    int
	epoll int
}

// awaitWritable has the loop told when the client reads on.
func (s *socket) awaitWritable() {
	syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_MOD, s.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT, Fd: int32(s.fd)})
}

// shut has the loop told that the connection is at its end.
func (s *socket) shut() { syscall.Shutdown(s.fd, syscall.SHUT_RDWR) }

// newLoop returns nil where the system gives none, and where Go runs on one processor, which the loop would hold.
func newLoop(s *Server) *loop {
	if runtime.GOMAXPROCS(0) < 2 {
		return nil
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	l := &loop{server: s, epoll: epoll, bell: newBell(), clock: newTimer(), buf: make([]byte, loopKeeps+loopReads), peers: map[int32]*loopPeer{}}
	l.in = newWireReader(nil, s.limits, s.budget)
	if !l.watch(l.bell) || !l.watch(l.clock.fd) {
		l.closeOwn()
		return nil
	}
	return l
}

// closeOwn closes what the loop itself waits for.
func (l *loop) closeOwn() {
	syscall.Close(l.epoll)
	syscall.Close(l.bell)
	syscall.Close(l.clock.fd)
}

func (l *loop) watch(fd int) bool {
	return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}) == nil
}

// stop has run end. It is called once.
func (l *loop) stop() { syscall.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// take reports whether the loop serves the connection from now on. Go's poller is to hear of it no more, so conn is closed and the
// loop has another descriptor of it.
func (l *loop) take(p *peer, conn net.Conn) bool {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var fd uintptr
	errno := syscall.EBADF
	raw.Control(func(of uintptr) { fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, of, syscall.F_DUPFD_CLOEXEC, 0) })
	if errno != 0 {
		return false
	}
	lp := &loopPeer{peer: p, socket: socket{fd: int(fd), epoll: l.epoll}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.watch(lp.fd) {
		syscall.Close(lp.fd)
		return false
	}
	p.out.inLoop = &lp.socket
	l.peers[int32(fd)] = lp
	conn.Close()
	return true
}

// run serves until stop. It keeps its thread: a goroutine that changes threads is slower by what the loop is to save.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.close()
	events := make([]syscall.EpollEvent, 64)
	for {
		n, err := l.await(events)
		if err != nil {
			l.server.log.Error("waiting for store clients", "error", err)
			return
		}
		for _, event := range events[:n] {
			l.mu.Lock()
			p := l.peers[event.Fd]
			l.mu.Unlock()
			switch {
			case p == nil && event.Fd == int32(l.bell):
				return
			case p == nil && event.Fd == int32(l.clock.fd):
				l.tick()
			case p == nil: // it has just been handed over
			case event.Events&syscall.EPOLLOUT != 0:
				l.handOver(p, p.rest) // it did not read, and there is more for it
			default:
				l.read(p, n == 1)
			}
		}
		if l.partial > 0 {
			l.dropStalled(time.Now())
		}
	}
}

// await gives how many events there are: none where it was interrupted, or somebody may stall.
func (l *loop) await(events []syscall.EpollEvent) (n int, err error) {
	if l.lingers {
		n, err = epollAtOnce(l.epoll, events) // the clock ends it
	} else {
		limit := -1
		if l.partial > 0 {
			limit = max(1, int(l.server.stall.Milliseconds()))
		}
		if n, err = syscall.EpollWait(l.epoll, events, limit); n > 0 {
			l.lingers = l.clock.set(loopLingers)
		}
	}
	if err == syscall.EINTR { // a signal: the runtime wants something, and has it where functions begin
		return 0, nil
	}
	return n, err
}

// tick ends the lingering if nobody has asked for anything since the last one.
func (l *loop) tick() {
	l.lingers = l.asked && l.clock.set(loopLingers)
	if l.asked = false; !l.lingers {
		l.clock.set(0)
	}
}

// read takes in what the client has sent and answers; alone: nobody else has sent anything.
func (l *loop) read(p *loopPeer, alone bool) {
	l.asked, l.silent = true, false
	have := copy(l.buf, p.rest)
	n, errno := readAtOnce(p.fd, l.buf[have:])
	for began := time.Now(); errno != syscall.EAGAIN && l.takeIn(p, have, n, errno) && alone && l.silent; {
		now := time.Now()
		if now.Sub(began) > loopTurn {
			return
		}
		have = copy(l.buf, p.rest)
		n, errno = l.readSoon(p.fd, l.buf[have:], now)
	}
}

// readSoon reads what comes within [loopLooks] from now on.
func (l *loop) readSoon(fd int, b []byte, now time.Time) (n int, errno syscall.Errno) {
	for errno = syscall.EAGAIN; errno == syscall.EAGAIN && time.Since(now) < loopLooks; {
		nap(loopNap)
		n, errno = readAtOnce(fd, b)
	}
	return n, errno
}

// takeIn has so many bytes in buf, the first of them the beginning of a request that had come before, or why there are none. It
// reports whether the client stays in the loop.
func (l *loop) takeIn(p *loopPeer, have, n int, errno syscall.Errno) bool {
	switch {
	case errno == syscall.EINTR:
		return true
	case errno != 0:
		l.end(p, errno)
		return false
	case n == 0 && have > 0:
		l.end(p, io.ErrUnexpectedEOF)
		return false
	case n == 0:
		l.end(p, nil)
		return false
	}
	all := l.buf[:have+n]
	used, here, err := l.answer(p, all)
	switch {
	case err != nil:
		l.end(p, err)
		return false
	case !here, len(all)-used > loopKeeps:
		l.handOver(p, all[used:])
		return false
	}
	l.keep(p, all[used:])
	return true
}

// answer executes the whole requests in b. It tells how long they are together, and whether the loop is the place for what follows.
func (l *loop) answer(p *loopPeer, b []byte) (used int, here bool, err error) {
	if !p.begun {
		l.server.spoke(p.peer)
	}
	l.in.ahead = b
	for used < len(b) {
		code, _ := l.in.u8()
		if p.doubtful(code) {
			return used, false, nil
		}
		req, err := p.parse(l.in, code)
		if err != nil {
			l.in.release()
			// Who parses it again will say what is wrong with it.
			return used, errors.Is(err, io.ErrUnexpectedEOF), nil
		}
		if err := p.execute(l.in, req); err != nil {
			return used, false, err
		}
		used, l.silent = len(b)-len(l.in.ahead), !req.op.answered()
		if p.out.left() {
			return used, false, nil
		}
	}
	return used, true, nil
}

// keep remembers the beginning of a request.
func (l *loop) keep(p *loopPeer, rest []byte) {
	if len(p.rest) > 0 {
		l.partial--
	}
	if p.rest = append(p.rest[:0], rest...); len(rest) == 0 {
		return
	}
	p.since = time.Now()
	if l.partial++; l.partial == 1 {
		l.look = p.since.Add(l.server.stall)
	}
}

// dropStalled drops who has paused in the middle of a request for the stall time.
func (l *loop) dropStalled(now time.Time) {
	if now.Before(l.look) {
		return
	}
	l.look = now.Add(l.server.stall)
	for _, p := range l.clients() {
		if len(p.rest) > 0 && now.Sub(p.since) >= l.server.stall {
			l.end(p, os.ErrDeadlineExceeded)
		}
	}
}

func (l *loop) clients() []*loopPeer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.peers))
}

// drop forgets a connection whose descriptor is about to be closed.
func (l *loop) drop(p *loopPeer) {
	l.keep(p, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, int32(p.fd))
	syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_DEL, p.fd, nil)
}

// end closes a connection to which nothing is left to write.
func (l *loop) end(p *loopPeer, err error) {
	l.drop(p)
	p.leave()
	p.tellWhy(err)
	p.out.abort() // nobody writes to the descriptor from here on
	syscall.Close(p.fd)
	l.server.forget(p.peer)
}

// handOver gives a connection to goroutines, with what was read and not used.
func (l *loop) handOver(p *loopPeer, early []byte) {
	early = bytes.Clone(early)
	l.drop(p)
	file := os.NewFile(uintptr(p.fd), "store client")
	conn, err := net.FileConn(file)
	if err != nil { // out of descriptors
		p.leave()
		p.tellWhy(err)
		p.out.abort()
		file.Close()
		l.server.forget(p.peer)
		return
	}
	p.serve(conn, early)
	file.Close() // nobody writes to it any more
}

// close ends all connections.
func (l *loop) close() {
	for _, p := range l.clients() {
		l.end(p, net.ErrClosed)
	}
	l.closeOwn()
}
