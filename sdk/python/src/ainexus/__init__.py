"""What a PyTorch script imports to train on several processes.

    from ainexus import DistributedTrainer

    trainer = DistributedTrainer()
    with trainer.distributed_context():
        model = trainer.wrap_model(Net())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        sampler = trainer.get_distributed_sampler(dataset)
        loader = DataLoader(dataset, batch_size=64, sampler=sampler)
        start = trainer.load_checkpoint(model, optimizer)      # None the first time
        for epoch in range(start.epoch if start else 0, 10):
            sampler.set_epoch(epoch)                           # goes on in the middle, where it has to
            for x, y in loader:
                ...
                if trainer.step(loss, epoch=epoch, samples=len(x)):           # told to stop: all ranks, same step
                    trainer.save_checkpoint(model, optimizer, epoch)          # saves and acknowledges
                    return
            trainer.save_checkpoint(model, optimizer, epoch)

Under `nexus run` the job is preempted, cancelled and restarted without losing work; its progress is shown and a rank that
hangs is named. Under torchrun, or alone on one processor, the same script runs just as well.
"""

from .batch import BatchSize, find_batch_size
from .checkpoint import CheckpointError, FencedError, Found, Skipped
from .env import Env
from .logger import setup_distributed_logger
from .sampler import ResumableSampler, get_distributed_sampler
from .trainer import Checkpoint, DistributedTrainer, Position

__version__ = "0.1.0"

__all__ = [
    "BatchSize",
    "Checkpoint",
    "CheckpointError",
    "DistributedTrainer",
    "Env",
    "FencedError",
    "Found",
    "Position",
    "ResumableSampler",
    "Skipped",
    "find_batch_size",
    "get_distributed_sampler",
    "setup_distributed_logger",
]
