// A stand-in for libcuda.so.1, compiled by tests only. The memory of its GPUs is the host's, under other addresses; its streams are
// threads, so that work is done later, as on a GPU. Numbers as in NVIDIA's cuda.h.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_CONTEXT = 201, NOT_READY = 600 };

#define FAR (1ULL << 60) // set in every address of a GPU: whoever takes one for the host's crashes
#define MOST 256

typedef struct Work { void (*run)(void *); void *arg; struct Work *next; } Work;
typedef struct { pthread_t thread; pthread_mutex_t lock; pthread_cond_t wake; Work *first, *last; int busy, end; } Stream;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { uint64_t at, size; } memory[MOST];
static int started;
static __thread int current = -1; // device of the thread's context, plus 1

static int gpus(void) { const char *n = getenv("STUB_GPUS"); return n ? atoi(n) : 8; }
static int harm(const char *what) { const char *h = getenv("STUB_CUDA"); return h && !strcmp(h, what); }

// stubHost gives the host's address of memory of a GPU, or NULL where there is none so long.
void *stubHost(uint64_t ptr, uint64_t bytes) {
	void *found = NULL;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MOST; i++)
		if (memory[i].at && ptr >= memory[i].at && ptr + bytes <= memory[i].at + memory[i].size) found = (void *)(ptr & ~FAR);
	pthread_mutex_unlock(&lock);
	return found;
}

static void *serve(void *arg) {
	Stream *s = arg;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->first && !s->end) pthread_cond_wait(&s->wake, &s->lock);
		Work *w = s->first;
		if (!w) break;
		s->first = w->next;
		if (!s->first) s->last = NULL;
		s->busy = 1;
		pthread_mutex_unlock(&s->lock);
		w->run(w->arg);
		free(w);
		pthread_mutex_lock(&s->lock);
		s->busy = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

// stubEnqueue has a stream do something after all that it was given before.
int stubEnqueue(void *stream, void (*run)(void *), void *arg) {
	Stream *s = stream;
	if (!s || current < 0) return INVALID_CONTEXT;
	Work *w = calloc(1, sizeof *w);
	w->run = run;
	w->arg = arg;
	pthread_mutex_lock(&s->lock);
	if (s->last) s->last->next = w; else s->first = w;
	s->last = w;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return OK;
}

int cuInit(unsigned flags) {
	if (flags) return INVALID_VALUE;
	if (!gpus()) return NO_DEVICE;
	started = 1;
	return OK;
}

int cuDeviceGetCount(int *count) { *count = gpus(); return started ? OK : NOT_INITIALIZED; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal >= 0 && ordinal < gpus() ? OK : INVALID_VALUE; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(intptr_t)(device + 1); return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) { return device >= 0 && device < gpus() ? OK : INVALID_VALUE; }
int cuCtxSetCurrent(void *context) { current = (int)(intptr_t)context; return OK; }

#define CONTEXT if (current < 1) return INVALID_CONTEXT

int cuMemAlloc_v2(uint64_t *ptr, size_t bytes) {
	CONTEXT;
	if (harm("oom")) return OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MOST; i++) {
		if (memory[i].at) continue;
		*ptr = memory[i].at = (uint64_t)malloc(bytes) | FAR;
		memory[i].size = bytes;
		break;
	}
	pthread_mutex_unlock(&lock);
	return OK;
}

int cuMemFree_v2(uint64_t ptr) {
	CONTEXT;
	int rc = INVALID_VALUE;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MOST; i++)
		if (ptr && memory[i].at == ptr) { free((void *)(ptr & ~FAR)); memory[i].at = 0; rc = OK; }
	pthread_mutex_unlock(&lock);
	return rc;
}

typedef struct { void *to; const void *from; size_t bytes; } Copy;

static void copy(void *arg) { Copy *c = arg; memcpy(c->to, c->from, c->bytes); free(c); }

static int enqueueCopy(void *to, const void *from, size_t bytes, void *stream) {
	CONTEXT;
	while (harm("hang")) pause();
	if (!to || !from) return INVALID_VALUE;
	Copy *c = malloc(sizeof *c);
	*c = (Copy){to, from, bytes};
	return stubEnqueue(stream, copy, c);
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) { return enqueueCopy(stubHost(to, bytes), from, bytes, stream); }
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) { return enqueueCopy(to, stubHost(from, bytes), bytes, stream); }

int cuStreamCreate(void **stream, unsigned flags) {
	CONTEXT;
	Stream *s = calloc(1, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	*stream = s;
	return pthread_create(&s->thread, NULL, serve, s) || flags != 1 ? INVALID_VALUE : OK;
}

int cuStreamQuery(void *stream) {
	CONTEXT;
	Stream *s = stream;
	pthread_mutex_lock(&s->lock);
	int busy = s->busy || s->first;
	pthread_mutex_unlock(&s->lock);
	return busy ? NOT_READY : OK;
}

int cuStreamDestroy_v2(void *stream) {
	CONTEXT;
	Stream *s = stream;
	pthread_mutex_lock(&s->lock);
	s->end = 1;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return OK;
}

int cuGetErrorString(int code, const char **text) {
	switch (code) {
	case INVALID_VALUE: *text = "invalid argument"; break;
	case OUT_OF_MEMORY: *text = "out of memory"; break;
	case INVALID_CONTEXT: *text = "invalid device context"; break;
	default: *text = NULL; return INVALID_VALUE;
	}
	return OK;
}
