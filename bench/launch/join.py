"""One rank: imports torch, joins, and notes when it called and when it was answered, by the machine's monotonic clock."""
import os
import sys
import time

import torch.distributed as dist

called = time.monotonic()
dist.init_process_group("gloo")
answered = time.monotonic()
with open(f"{sys.argv[1]}.{os.environ['RANK']}", "w") as f:
    f.write(f"{called} {answered}\n")
dist.barrier()
dist.destroy_process_group()
