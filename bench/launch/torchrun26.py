"""torchrun of a release that knows libuv, in a build that was made without it: Debian's 2.6 asks for it in three places and fails."""
import sys

import torch.distributed.run
from torch.distributed.elastic.rendezvous import c10d_rendezvous_backend, dynamic_rendezvous  # noqa: F401

Store = torch.distributed.TCPStore


class WithoutLibuv(Store):
    def __init__(self, *args, **kwargs):
        kwargs["use_libuv"] = False
        super().__init__(*args, **kwargs)


for name, module in list(sys.modules.items()):
    if name.startswith("torch.distributed") and getattr(module, "TCPStore", None) is Store:
        module.TCPStore = WithoutLibuv
torch.distributed.run.main()
