"""Asks init_process_group for as many ranks as it is told."""
import functools
import os
import sys

import torch.distributed as dist

# Builds without libuv (Debian's 2.6) refuse even clients unless told so, and with the agent's store nothing else tells them.
if "use_libuv" in dist.TCPStore.__init__.__doc__:
    sys.modules["torch.distributed.rendezvous"].TCPStore = functools.partial(dist.TCPStore, use_libuv=False)

dist.init_process_group("gloo", rank=int(os.environ["RANK"]), world_size=int(sys.argv[1]))
