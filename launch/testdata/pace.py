"""Trains with the ainexus package. Words: "slow=R": rank R takes five times as long for a batch, "until=S": up to that step, "steps=S": so many steps, "batch=MS": how long the others take."""

import sys
import time

import torch

from ainexus import DistributedTrainer

words = dict(word.split("=") for word in sys.argv[1:])
slow, until, steps = int(words.get("slow", -1)), int(words.get("until", 1 << 30)), int(words["steps"])
batch = int(words.get("batch", 50)) / 1000

trainer = DistributedTrainer()
with trainer.distributed_context():
    model = trainer.wrap_model(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for step in range(steps):
        time.sleep(5 * batch if trainer.rank == slow and step < until else batch)  # the next batch is made ready
        loss = model(torch.ones(8, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if trainer.step(loss):
            break
