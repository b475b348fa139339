"""One rank of a real process group. The store is not its own: the environment names the server."""
import functools
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

# libuv is the server's affair, but builds without it (Debian's 2.6) refuse clients too unless told so, and with the
# agent's store there is no other way to tell them.
if "use_libuv" in dist.TCPStore.__init__.__doc__:
    sys.modules["torch.distributed.rendezvous"].TCPStore = functools.partial(dist.TCPStore, use_libuv=False)

dist.init_process_group("gloo", init_method="env://")
rank, world = dist.get_rank(), dist.get_world_size()

total = torch.tensor([float(rank + 1)])
dist.all_reduce(total)

torch.manual_seed(rank)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
model(torch.full((2, 4), float(rank))).sum().backward()
gradient = model.module.weight.grad[0, 0].item()

everyone = [None] * world
dist.all_gather_object(everyone, rank)
dist.barrier()
print(f"rank {rank} of {world}: sum {total.item():g}, gradient {gradient:g}, ranks {everyone}", flush=True)
dist.destroy_process_group()
