"""Trains with the ainexus package until it is stopped. Words: "hang=R": rank R hangs in its fourth batch."""

import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

from ainexus import DistributedTrainer


class Numbers(Dataset):
    def __len__(self):
        return 1 << 20

    def __getitem__(self, i):
        return torch.full((4,), float(i % 7))


def fetch(batches, rank, step):
    if f"hang={rank}" in sys.argv and step == 3:
        time.sleep(3600)
    return next(batches)


trainer = DistributedTrainer()
with trainer.distributed_context():
    model = trainer.wrap_model(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    sampler = trainer.get_distributed_sampler(Numbers())
    start = trainer.load_checkpoint(model, optimizer)
    print("from step", start.step if start else 0, flush=True)
    batches = iter(DataLoader(Numbers(), batch_size=8, sampler=sampler, num_workers=2))
    while True:
        x = fetch(batches, trainer.rank, trainer.position.step)
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(0.01)
        if trainer.step(loss, epoch=0, samples=len(x)):
            trainer.save_checkpoint(model, optimizer, 0)
            print("saved step", trainer.position.step, flush=True)
            break
