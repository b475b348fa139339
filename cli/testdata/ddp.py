"""Trains a small model with DistributedDataParallel. The first round never ends by itself."""
import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
number = int(os.environ["NEXUS_ROUND"])
torch.manual_seed(1)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(64, 8))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
steps = 20 if number > 0 else 10**9
for step in range(steps):
    loss = model(torch.ones(4, 64) * (dist.get_rank() + 1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 5:
        print(f"round {number} trains on {dist.get_world_size()} over {os.environ['GLOO_SOCKET_IFNAME']}", flush=True)
total = sum(p.sum() for p in model.parameters()).detach()
every = [torch.zeros_like(total) for _ in range(dist.get_world_size())]
dist.all_gather(every, total)
print("the ranks agree" if all(torch.equal(t, total) for t in every) else f"the ranks differ: {every}")
dist.destroy_process_group()
