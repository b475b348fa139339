"""One rank of the peer in the all-reduce rows: gloo, driven through stdin as the Go rank is.

A line "BYTES ITERATIONS" asks for so many timed all-reduces of a float32 buffer; the answer is one line with their
times in nanoseconds. The end of the input is the end of the rank.
"""

import datetime
import sys
import time

import torch
import torch.distributed as dist


def measure(size, iterations):
    rank, world = dist.get_rank(), dist.get_world_size()
    data = torch.full((size // 4,), float(rank + 1))
    dist.all_reduce(data)  # warms up, and shows that the arithmetic is right
    want = world * (world + 1) / 2
    if not bool((data == want).all()):
        raise SystemExit(f"rank {rank}: the sum is {data[0].item()}, not {want}")
    data.zero_()  # sums of sums would leave the range of numbers
    times = []
    for _ in range(iterations):
        begin = time.perf_counter_ns()
        dist.all_reduce(data)
        times.append(time.perf_counter_ns() - begin)
    return times


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=120))
    print("ready", flush=True)
    for line in sys.stdin:
        size, iterations = map(int, line.split())
        print(*measure(size, iterations), flush=True)


main()
