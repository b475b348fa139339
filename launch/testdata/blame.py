"""Rank 1 fails and is slow to end; the others hear of that first, by its connection."""
import atexit
import functools
import os
import sys
import time

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

# Builds without libuv (Debian's 2.6) refuse even clients unless told so, and with the agent's store nothing else tells them.
if "use_libuv" in dist.TCPStore.__init__.__doc__:
    sys.modules["torch.distributed.rendezvous"].TCPStore = functools.partial(dist.TCPStore, use_libuv=False)


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
