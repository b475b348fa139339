"""Records how long each rank of a healthy run works in each step before it waits for the others, into the file that pace_test.go reads.

    go build -o /tmp/nexus ./cmd/nexus
    for work in small loader ragged saving; do
        PYTHONPATH=sdk/python/src /tmp/nexus launch --nproc-per-node 4 launch/elastic/testdata/record.py $work launch/elastic/testdata
    done

small: a small model, steps of a few milliseconds. loader: batches come from two loader processes per rank. ragged: batches differ in length, by
chance. saving: rank 0 saves in the background every 40 steps and evaluates every 60. A line per step, microseconds by rank.
"""

import random
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

from ainexus import DistributedTrainer

STEPS = 400


class Numbers(Dataset):
    def __len__(self):
        return 1 << 20

    def __getitem__(self, i):
        return torch.full((64,), float(i % 7))


work, directory = sys.argv[1:]
trainer = DistributedTrainer(checkpoints="/tmp/nexus-record")
with trainer.distributed_context():
    width = 64 if work == "small" else 384
    model = trainer.wrap_model(torch.nn.Sequential(torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 64)))
    optimizer = torch.optim.AdamW(model.parameters())
    sampler = trainer.get_distributed_sampler(Numbers())
    batches = iter(DataLoader(Numbers(), batch_size=32, sampler=sampler, num_workers=2 if work == "loader" else 0))
    owns = []
    put = trainer._progress.put

    def keep(said, own=None):
        owns.append(own or 0.0)
        put(said, own)

    trainer._progress.put = keep
    chance = random.Random(trainer.rank)
    for step in range(1, STEPS + 1):
        x = next(batches)
        if work == "ragged":
            x = x.repeat(int(chance.lognormvariate(1.5, 0.5)) + 1, 1)
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if work == "saving" and step % 40 == 0:
            trainer.save_checkpoint(model, optimizer, 0, background=True)
        if work == "saving" and step % 60 == 0 and trainer.is_main_process:
            with torch.no_grad():
                for _ in range(20):
                    model(x)
            time.sleep(0.05)
        trainer.step(loss)
    mine = torch.tensor([round(own * 1e6) for own in owns])
    everyones = [torch.zeros_like(mine) for _ in range(trainer.world_size)]
    torch.distributed.all_gather(everyones, mine)
    if trainer.is_main_process:
        with open(f"{directory}/{work}.steps", "w") as file:
            for row in torch.stack(everyones, 1).tolist():
                file.write(" ".join(map(str, row)) + "\n")
