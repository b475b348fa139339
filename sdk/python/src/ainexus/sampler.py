"""Samplers that can begin in the middle of an epoch."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional, Sized

import torch
from torch.utils.data.distributed import DistributedSampler

from .env import Env


class ResumableSampler(DistributedSampler):  # type: ignore[misc]
    """Deals out a data set as PyTorch's DistributedSampler does, in the same order, and can go on where an epoch was left,
    also with another number of ranks. Without shuffling the order is that of the data set: sequential."""

    def __init__(
        self, dataset: Sized, num_replicas: int, rank: int, shuffle: bool = True, seed: int = 0, drop_last: bool = False
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed, drop_last=drop_last)
        self.epoch: int
        self._size = len(dataset)
        self._used = 0

    @property
    def used(self) -> int:
        """How many samples of the epoch all ranks together had used where it begins."""
        return self._used

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch's order. Another epoch than the one to resume begins at its beginning."""
        if epoch != self.epoch:
            self._used = 0
        self.epoch = epoch

    def resume(self, epoch: int, used: int) -> None:
        """Has this epoch begin after the samples that all ranks together have used already; the next ones are whole."""
        self.epoch = epoch
        self._used = min(max(used, 0), self._size)

    def __len__(self) -> int:
        left = self._size - self._used
        each: int = left // self.num_replicas if self.drop_last else -(-left // self.num_replicas)
        return each

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = torch.randperm(self._size, generator=generator).tolist()
        else:
            order = list(range(self._size))
        begin, count = self._used + self.rank, len(self)
        for i in range(count):
            # Past the end the order begins anew, as often as it takes.
            yield order[(begin + i * self.num_replicas) % self._size]
        self._used = 0  # dealt out: the next epoch is a whole one, also where nobody calls set_epoch

    def state_dict(self) -> Dict[str, int]:
        """Where the epoch that is being dealt out begins."""
        return {"epoch": self.epoch, "used": self._used}

    def load_state_dict(self, state: Dict[str, int]) -> None:
        """Resumes what state_dict said."""
        self.resume(state["epoch"], state["used"])


def get_distributed_sampler(
    dataset: Sized, shuffle: bool = True, *, seed: int = 0, drop_last: bool = False,
    rank: Optional[int] = None, world_size: Optional[int] = None,
) -> ResumableSampler:
    """A sampler for this rank: shuffled, or sequential. Rank and world size are the launcher's where they are left out."""
    env = Env.read() if rank is None or world_size is None else None
    place: Dict[str, Any] = {
        "rank": env.rank if env and rank is None else rank,
        "num_replicas": env.world_size if env and world_size is None else world_size,
    }
    return ResumableSampler(dataset, shuffle=shuffle, seed=seed, drop_last=drop_last, **place)
