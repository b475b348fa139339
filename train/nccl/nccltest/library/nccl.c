// A stand-in for libnccl.so.2, compiled by tests only. Ranks are real processes; each sends what it has to a thread in rank 0's
// process, which adds up and sends back. Layouts and numbers as in NVIDIA's nccl.h.
//
// STUB_NCCL says what goes wrong in a process: init-error, init-hang, and at its n-th collective async-error@n, hang@n, die@n.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void *stubHost(uint64_t ptr, uint64_t bytes);
int stubEnqueue(void *stream, void (*run)(void *), void *arg);

enum { SUCCESS = 0, CUDA_ERROR = 1, SYSTEM = 2, INVALID = 4, USAGE = 5, REMOTE = 6, IN_PROGRESS = 7 };
enum { UINT8 = 1, FLOAT32 = 7, FLOAT64 = 8 };
enum { ALL_REDUCE = 1, BROADCAST, ALL_GATHER, REDUCE_SCATTER };

typedef struct { char internal[128]; } UniqueId;
typedef struct { size_t size; unsigned magic, version; int blocking; } Config; // v21400

typedef struct {
	int magic, fd, rank, size, calls;
	UniqueId id;
	volatile int state, aborted;
} Comm;

typedef struct { int64_t op, type, root; uint64_t count; } Head; // no padding: heads are compared as bytes
typedef struct { Comm *comm; Head head; void *send, *receive; uint64_t sendBytes, receiveBytes; int n; } Call;

static char last[256];

// harm says whether something is to go wrong now; n is 0 for what does not count calls.
static int harm(const char *what, int n) {
	const char *h = getenv("STUB_NCCL");
	char want[64];
	snprintf(want, sizeof want, n ? "%s@%d" : "%s", what, n);
	return h && !strcmp(h, want);
}

static int whole(int fd, void *buffer, size_t bytes, int out) {
	for (char *p = buffer; bytes;) {
		ssize_t n = out ? send(fd, p, bytes, MSG_NOSIGNAL) : recv(fd, p, bytes, 0);
		if (n <= 0) return 0;
		p += n;
		bytes -= n;
	}
	return 1;
}

static size_t width(int type) { return type == FLOAT32 ? 4 : type == FLOAT64 ? 8 : 1; }

static void add(void *into, const void *from, uint64_t count, int type) {
	for (uint64_t i = 0; i < count; i++) {
		if (type == FLOAT32) ((float *)into)[i] += ((const float *)from)[i];
		if (type == FLOAT64) ((double *)into)[i] += ((const double *)from)[i];
	}
}

// root serves one communicator, from all ranks having come until one goes: the others then hang, as they do in NCCL.
static void *root(void *arg) {
	int listener = (int)(intptr_t)arg, size = 0, come = 0, fds[64];
	while (!size || come < size) {
		int fd = accept(listener, NULL, NULL), hello[2];
		if (fd < 0 || !whole(fd, hello, sizeof hello, 0)) return NULL;
		size = hello[1];
		fds[hello[0]] = fd;
		come++;
	}
	for (int i = 0; i < size; i++) whole(fds[i], "!", 1, 1);
	for (;;) {
		Head head = {0};
		char *sum = NULL;
		size_t bytes = 0;
		for (int i = 0; i < size; i++) {
			Head h;
			if (!whole(fds[i], &h, sizeof h, 0)) for (;;) pause();
			if (i && memcmp(&h, &head, sizeof h)) { fprintf(stderr, "stub: ranks call different collectives\n"); abort(); }
			head = h;
			bytes = h.count * width(h.type) * (h.op == REDUCE_SCATTER ? size : 1);
			if (!sum) sum = calloc(size + 1, bytes);
			char *mine = sum + (i + 1) * bytes;
			if (!whole(fds[i], mine, bytes, 0)) for (;;) pause();
			if (h.op == ALL_REDUCE || h.op == REDUCE_SCATTER) add(sum, mine, bytes / width(h.type), h.type);
		}
		for (int i = 0; i < size; i++) {
			switch (head.op) {
			case ALL_REDUCE: whole(fds[i], sum, bytes, 1); break;
			case BROADCAST: whole(fds[i], sum + (head.root + 1) * bytes, bytes, 1); break;
			case ALL_GATHER: whole(fds[i], sum + bytes, bytes * size, 1); break;
			case REDUCE_SCATTER: whole(fds[i], sum + i * (bytes / size), bytes / size, 1); break;
			}
		}
		free(sum);
	}
}

static struct sockaddr_un address(const UniqueId *id, socklen_t *length) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path + 1, id->internal, 32); // abstract: no file
	*length = sizeof a.sun_family + 33;
	return a;
}

int ncclGetVersion(int *version) { *version = getenv("STUB_NCCL_VERSION") ? atoi(getenv("STUB_NCCL_VERSION")) : 22304; return SUCCESS; }

int ncclGetUniqueId(UniqueId *id) {
	for (int i = 0; i < 128; i++) id->internal[i] = (char)(i * 7 + 1);
	snprintf(id->internal, 32, "nexus-stub-%d-%ld", getpid(), random());
	socklen_t length;
	struct sockaddr_un a = address(id, &length);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pthread_t thread;
	if (bind(fd, (void *)&a, length) || listen(fd, 64) || pthread_create(&thread, NULL, root, (void *)(intptr_t)fd)) return SYSTEM;
	return SUCCESS;
}

static void *join(void *arg) {
	Comm *c = arg;
	while (harm("init-hang", 0) && !c->aborted) usleep(1000);
	if (harm("init-error", 0)) {
		snprintf(last, sizeof last, "stub: no socket interface was found");
		c->state = SYSTEM;
		return NULL;
	}
	socklen_t length;
	struct sockaddr_un a = address(&c->id, &length);
	int hello[2] = {c->rank, c->size};
	char go;
	if (connect(c->fd, (void *)&a, length) || !whole(c->fd, hello, sizeof hello, 1) || !whole(c->fd, &go, 1, 0)) {
		c->state = REMOTE;
		return NULL;
	}
	c->state = SUCCESS;
	return NULL;
}

static Comm *begin(int size, UniqueId *id, int rank) {
	for (int i = 64; i < 128; i++)
		if (id->internal[i] != (char)(i * 7 + 1)) { snprintf(last, sizeof last, "stub: byte %d of the id is garbled", i); return NULL; }
	if (rank < 0 || rank >= size || size > 64) { snprintf(last, sizeof last, "stub: rank %d of %d", rank, size); return NULL; }
	Comm *c = calloc(1, sizeof *c);
	*c = (Comm){.magic = 0x4e434c, .fd = socket(AF_UNIX, SOCK_STREAM, 0), .rank = rank, .size = size, .id = *id, .state = IN_PROGRESS};
	return c;
}

int ncclCommInitRank(Comm **comm, int size, UniqueId id, int rank) {
	if (!(*comm = begin(size, &id, rank))) return INVALID;
	join(*comm);
	return (*comm)->state;
}

int ncclCommInitRankConfig(Comm **comm, int size, UniqueId id, int rank, Config *config) {
	if (config->size != sizeof(Config) || config->magic != 0xcafebeef || config->version != 21400 || config->blocking) {
		snprintf(last, sizeof last, "stub: config of %zu bytes, version %u, blocking %d", config->size, config->version, config->blocking);
		return INVALID;
	}
	if (!(*comm = begin(size, &id, rank))) return INVALID;
	pthread_t thread;
	pthread_create(&thread, NULL, join, *comm);
	return IN_PROGRESS;
}

static int valid(Comm *c) { return c && c->magic == 0x4e434c; }

int ncclCommGetAsyncError(Comm *c, int *state) {
	if (!valid(c)) return INVALID;
	*state = c->state;
	return SUCCESS;
}

int ncclCommFinalize(Comm *c) { return valid(c) ? SUCCESS : INVALID; }

static int end(Comm *c) {
	if (!valid(c)) return INVALID;
	c->aborted = 1;
	c->magic = 0; // who uses it again is told
	shutdown(c->fd, SHUT_RDWR);
	return SUCCESS;
}

int ncclCommAbort(Comm *c) { return end(c); }
int ncclCommDestroy(Comm *c) { return end(c); }

const char *ncclGetErrorString(int code) {
	switch (code) {
	case SYSTEM: return "unhandled system error";
	case INVALID: return "invalid argument";
	case USAGE: return "invalid usage";
	case REMOTE: return "remote process exited or there was a network error";
	}
	return "unknown result code";
}

const char *ncclGetLastError(Comm *c) { (void)c; return last; }

// work is a call as the stream does it.
static void work(void *arg) {
	Call *call = arg;
	Comm *c = call->comm;
	if (harm("die", call->n)) kill(getpid(), SIGKILL);
	if (harm("async-error", call->n)) {
		snprintf(last, sizeof last, "stub: the connection was reset by peer");
		c->state = REMOTE;
	}
	while ((harm("hang", call->n) || harm("async-error", call->n)) && !c->aborted) usleep(1000);
	if (!c->aborted && whole(c->fd, &call->head, sizeof call->head, 1) && whole(c->fd, call->send, call->sendBytes, 1))
		whole(c->fd, call->receive, call->receiveBytes, 0);
	free(call);
}

// later is what a call that does not block still has to do when it has returned.
static void *later(void *arg) {
	Comm *c = arg;
	usleep(300);
	if (c->state == IN_PROGRESS) c->state = SUCCESS;
	return NULL;
}

static int enqueue(Comm *c, Head head, uint64_t send, uint64_t receive, uint64_t sendCount, uint64_t receiveCount, void *stream) {
	if (!valid(c)) return INVALID;
	if (c->state == IN_PROGRESS) { snprintf(last, sizeof last, "stub: the call before is still in progress"); return USAGE; }
	Call *call = calloc(1, sizeof *call);
	*call = (Call){.comm = c, .head = head, .sendBytes = sendCount * width(head.type), .receiveBytes = receiveCount * width(head.type), .n = ++c->calls};
	call->send = stubHost(send, call->sendBytes);
	call->receive = stubHost(receive, call->receiveBytes);
	if (!call->send || !call->receive) { snprintf(last, sizeof last, "stub: that is no memory of the GPU"); return INVALID; }
	if (stubEnqueue(stream, work, call)) return CUDA_ERROR;
	if (c->calls % 2) return SUCCESS;
	c->state = IN_PROGRESS; // every other call takes its time
	pthread_t thread;
	pthread_create(&thread, NULL, later, c);
	pthread_detach(thread);
	return IN_PROGRESS;
}

int ncclAllReduce(uint64_t send, uint64_t receive, size_t count, int type, int op, Comm *c, void *stream) {
	if (op) return INVALID;
	return enqueue(c, (Head){ALL_REDUCE, type, 0, count}, send, receive, count, count, stream);
}

int ncclBroadcast(uint64_t send, uint64_t receive, size_t count, int type, int from, Comm *c, void *stream) {
	return enqueue(c, (Head){BROADCAST, type, from, count}, send, receive, count, count, stream);
}

int ncclAllGather(uint64_t send, uint64_t receive, size_t count, int type, Comm *c, void *stream) {
	return enqueue(c, (Head){ALL_GATHER, type, 0, count}, send, receive, count, valid(c) ? count * c->size : 0, stream);
}

int ncclReduceScatter(uint64_t send, uint64_t receive, size_t count, int type, int op, Comm *c, void *stream) {
	if (op) return INVALID;
	return enqueue(c, (Head){REDUCE_SCATTER, type, 0, count}, send, receive, valid(c) ? count * c->size : 0, count, stream);
}
