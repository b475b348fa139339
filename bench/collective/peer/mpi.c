/* One rank of MPI in the all-reduce rows, driven through pipes as the others are: "BYTES ITERATIONS" comes in, the times of
   so many all-reduces of float32 go out, in nanoseconds. "0 0" ends it. Who waits for orders sleeps in a read. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
	MPI_Init(&argc, &argv);
	int rank, world;
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &world);
	char path[4096];
	snprintf(path, sizeof path, "%s/in%d", argv[1], rank);
	FILE *in = fopen(path, "r");
	snprintf(path, sizeof path, "%s/out%d", argv[1], rank);
	FILE *out = fopen(path, "w");
	if (!in || !out) return 1;
	fprintf(out, "ready\n");
	fflush(out);
	long bytes;
	int iterations;
	while (fscanf(in, "%ld %d", &bytes, &iterations) == 2 && iterations > 0) {
		long n = bytes / 4;
		float *data = malloc(bytes);
		for (long i = 0; i < n; i++) data[i] = rank + 1;
		/* The first one warms up, and shows that the arithmetic is right. */
		MPI_Allreduce(MPI_IN_PLACE, data, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
		for (long i = 0; i < n; i++)
			if (data[i] != world * (world + 1) / 2) return 2;
		memset(data, 0, bytes);
		for (int i = 0; i < iterations; i++) {
			double begin = now();
			MPI_Allreduce(MPI_IN_PLACE, data, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
			fprintf(out, "%.0f ", now() - begin);
		}
		free(data);
		fprintf(out, "\n");
		fflush(out);
	}
	MPI_Finalize();
	return 0;
}
