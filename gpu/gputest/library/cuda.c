// A stand-in for libcuda.so.1, compiled by tests only. What it answers is in the file "cuda" beside it: the driver's
// version, what cuInit returns, and the number of devices.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int read_number(int which) {
	Dl_info info;
	char path[4096];
	int n[3] = {0, 999, 0};
	if (!dladdr((void *)read_number, &info)) return n[which];
	snprintf(path, sizeof path, "%s", info.dli_fname);
	char *slash = strrchr(path, '/');
	if (!slash) return n[which];
	snprintf(slash, sizeof path - (slash - path), "/cuda");
	FILE *in = fopen(path, "re");
	if (!in) return n[which];
	if (fscanf(in, "%d %d %d", &n[0], &n[1], &n[2]) != 3) n[1] = 999;
	fclose(in);
	return n[which];
}

int cuInit(unsigned int flags) { return flags == 0 ? read_number(1) : 1; }
int cuDriverGetVersion(int *version) { *version = read_number(0); return 0; }
int cuDeviceGetCount(int *count) { *count = read_number(2); return read_number(1); }
