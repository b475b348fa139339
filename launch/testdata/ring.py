"""Each rank adds its number to everybody's. In the first round rank 1 fails while rank 0 waits for it."""
import functools
import os
import sys

import torch
import torch.distributed as dist

# Builds without libuv (Debian's 2.6) refuse even clients unless told so, and with the agent's store nothing else tells them.
if "use_libuv" in dist.TCPStore.__init__.__doc__:
    sys.modules["torch.distributed.rendezvous"].TCPStore = functools.partial(dist.TCPStore, use_libuv=False)

dist.init_process_group("gloo")
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and dist.get_rank() == 1:
    sys.exit(3)
total = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(total)
print(f"rank {dist.get_rank()} of {dist.get_world_size()}: {total.item():.0f}")
dist.destroy_process_group()
