"""The peer of the checkpoint rows: torch.save with fsync, then torch.load, for each order that comes.

Any order but "0 0" asks for one save and one load; the answer is their times in nanoseconds.
"""

import os
import sys
import time

import torch


def main():
    pipes, base, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    state = {f"t{i}": torch.arange(size // 4, dtype=torch.float32) % 1000 + i for i in range(count)}
    number = 0
    with open(f"{pipes}/in0") as orders, open(f"{pipes}/out0", "w") as answers:
        print("ready", file=answers, flush=True)
        while orders.readline().split() != ["0", "0"]:
            number += 1  # a new file each time, as ours is: the one before stays until this one is whole
            path = f"{base}-{number}"
            begin = time.perf_counter_ns()
            with open(path, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            saved = time.perf_counter_ns()
            loaded = torch.load(path)
            done = time.perf_counter_ns()
            if loaded["t0"][999] != state["t0"][999]:
                raise SystemExit("the checkpoint is another one")
            del loaded
            if number > 1:
                os.remove(f"{base}-{number - 1}")
            print(saved - begin, done - saved, file=answers, flush=True)


main()
