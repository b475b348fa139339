"""Rank 1 fails and is slow to end; the others hear of that first, by its connection."""
import atexit
import os
import time

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record


def linger():
    dist.destroy_process_group()
    time.sleep(600)


@record
def main():
    dist.init_process_group("gloo")
    dist.barrier()
    if os.environ["RANK"] == "1":
        atexit.register(linger)
        raise ValueError("bad label")
    dist.all_reduce(torch.zeros(1))


main()
