"""Trains a small network on made-up data, and never loses work.

Run it with `nexus run job.yaml`, with torchrun, or as it is: `python train.py`.
"""

import argparse

import torch
from torch.utils.data import DataLoader, TensorDataset

from ainexus import DistributedTrainer


def spirals(count):
    """Points of three arms of a spiral, and which arm each is of. The same on all ranks."""
    generator = torch.Generator().manual_seed(1)
    arm = torch.arange(count) % 3
    radius = torch.rand(count, generator=generator)
    angle = 4 * radius + 2.1 * arm + 0.15 * torch.randn(count, generator=generator)
    return TensorDataset(torch.stack([radius * angle.cos(), radius * angle.sin()], 1), arm)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32, help="samples per step and rank")
    parser.add_argument("--save-every", type=int, default=100, help="steps between two checkpoints")
    args = parser.parse_args()

    trainer = DistributedTrainer()
    with trainer.distributed_context():
        torch.manual_seed(1)
        model = trainer.wrap_model(torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64),
                                                       torch.nn.Tanh(), torch.nn.Linear(64, 3)))
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        data = spirals(args.samples)
        sampler = trainer.get_distributed_sampler(data, drop_last=True)
        loader = DataLoader(data, batch_size=args.batch, sampler=sampler, drop_last=True)
        total = args.epochs * (len(data) // trainer.world_size // args.batch)

        start = trainer.load_checkpoint(model, optimizer)
        if trainer.is_main_process:
            print(f"training with {trainer.world_size} ranks over {trainer.backend}, from step {start.step if start else 0}", flush=True)
        right = seen = 0.0
        for epoch in range(start.epoch if start else 0, args.epochs):
            sampler.set_epoch(epoch)  # an epoch that was left in the middle goes on there
            right = seen = 0.0
            for points, arms in loader:
                points, arms = points.to(trainer.device), arms.to(trainer.device)
                out = model(points)
                loss = torch.nn.functional.cross_entropy(out, arms)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                right += float((out.argmax(1) == arms).sum())
                seen += len(arms)
                if trainer.step(loss, epoch=epoch, samples=len(arms), total_steps=total, metrics={"accuracy": right / seen}):
                    trainer.save_checkpoint(model, optimizer, epoch)  # told to stop: this also acknowledges it
                    return
                if trainer.position.step % args.save_every == 0:
                    trainer.save_checkpoint(model, optimizer, epoch, background=True)
        trainer.save_checkpoint(model, optimizer, args.epochs)
        sums = trainer.reduce_metrics({"right": right, "seen": seen}, op="sum")
        if trainer.is_main_process and sums["seen"]:
            print(f"done at step {trainer.position.step}, accuracy {100 * sums['right'] / sums['seen']:.1f} %", flush=True)


if __name__ == "__main__":
    main()
