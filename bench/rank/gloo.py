"""One rank of gloo in the all-reduce rows, driven as the Go rank is.

A line "BYTES ITERATIONS" asks for so many timed all-reduces of a float32 buffer; the answer is one line with their
times in nanoseconds. "0 0" or the end of the orders is the end of the rank. Orders come by standard input, or by the
pipe in0, in1, ... of the directory that the first argument names, where out0, out1, ... take the answers.
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


def serve(orders, answers):
    print("ready", file=answers, flush=True)
    for line in iter(orders.readline, ""):
        size, iterations = map(int, line.split())
        if iterations == 0:
            return
        print(*measure(size, iterations), file=answers, flush=True)


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=120))
    if len(sys.argv) == 1:
        serve(sys.stdin, sys.stdout)
        return
    rank = dist.get_rank()
    with open(f"{sys.argv[1]}/in{rank}") as orders, open(f"{sys.argv[1]}/out{rank}", "w") as answers:
        serve(orders, answers)


main()
