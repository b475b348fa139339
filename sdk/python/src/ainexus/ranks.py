"""The other ranks, spoken to on the processor: nothing here waits for a GPU."""

from __future__ import annotations

import collections
import ctypes
import datetime
import io
import pickle
import zlib
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, TypeVar

import torch
import torch.distributed as dist

from .checkpoint import CheckpointError

T = TypeVar("T")

# How long ranks wait for one that does not come to a save or load. Some may still be busy with an evaluation.
MEET = datetime.timedelta(minutes=5)
PIECE = 64 << 20  # bytes of a file that travel at once


class Ranks:
    """All ranks, over a gloo group of our own."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.group: Optional[Any] = None  # for the agreement on a stop
        self._group: Optional[Any] = None
        self._meet = MEET
        # gloo's threads let go of an operation a moment after it is done. Whoever is the last to do so frees its tensors,
        # for which a thread needs Python's lock, which destroy_process_group holds while it waits for the threads (seen
        # with PyTorch 2.6): so the last operations are held here until the group is gone.
        self._recent: Deque[Any] = collections.deque(maxlen=8)

    def join(self, timeout: datetime.timedelta) -> None:
        """Makes the groups. All ranks."""
        if (dist.get_rank(), dist.get_world_size()) != (self.rank, self.size):
            raise RuntimeError(
                f"the process group says rank {dist.get_rank()} of {dist.get_world_size()}, the launcher {self.rank} of {self.size}")
        self._meet = min(MEET, timeout)
        self.group = dist.new_group(backend="gloo", timeout=timeout)
        self._group = dist.new_group(backend="gloo", timeout=timeout)

    def leave(self) -> None:
        """Forgets the groups; forget has to follow when they are gone."""
        self.group = self._group = None

    def forget(self) -> None:
        """Lets go of the last operations."""
        self._recent.clear()

    def _done(self, work: Any, *tensors: Any) -> None:
        """Waits for an operation."""
        work.wait()
        self._recent.append((work, tensors))

    def _broadcast(self, tensor: torch.Tensor) -> None:
        self._done(dist.broadcast(tensor, src=0, group=self._group, async_op=True), tensor)

    def _gather(self, mine: torch.Tensor) -> List[torch.Tensor]:
        everyones = [torch.zeros_like(mine) for _ in range(self.size)]
        self._done(dist.all_gather(everyones, mine, group=self._group, async_op=True), everyones, mine)
        return everyones

    def _reduce(self, values: torch.Tensor, op: Any) -> None:
        self._done(dist.all_reduce(values, op=op, group=self._group, async_op=True), values)

    def meet(self, what: str) -> None:
        """Returns when all ranks are here; says who is not, where that takes too long."""
        if self.size == 1:
            return
        try:
            dist.monitored_barrier(self._group, timeout=self._meet, wait_all_ranks=self.rank == 0)
        except RuntimeError as err:
            raise RuntimeError(f"not all ranks came to {what}, which all have to call, not rank 0 alone: {err}") from err

    def barrier(self) -> None:
        """Returns when all ranks have called it."""
        if self.size > 1:
            self._done(dist.barrier(group=self._group, async_op=True))

    def reduce(self, metrics: Mapping[str, float], op: str) -> Dict[str, float]:
        """Reduces each metric over all ranks, in double precision."""
        ops = {"mean": dist.ReduceOp.SUM, "sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN}
        if op not in ops:
            raise ValueError(f"there is no reduction {op!r}: mean, sum, max or min")
        names = sorted(metrics)
        if self.size == 1:
            return dict(metrics)
        self._same_names(names)
        values = torch.tensor([metrics[n] for n in names], dtype=torch.float64)
        if names:
            self._reduce(values, ops[op])
        if op == "mean":
            values /= self.size
        reduced = dict(zip(names, values.tolist()))
        return {n: reduced[n] for n in metrics}

    def _same_names(self, names: List[str]) -> None:
        """Fails on every rank if one of them reduces other metrics, instead of adding up apples and pears."""
        mine = torch.tensor([zlib.crc32("\0".join(names).encode()), len(names)], dtype=torch.int64)
        everyones = self._gather(mine)
        for rank, other in enumerate(everyones):
            if not torch.equal(other, everyones[0]):
                raise ValueError(f"rank {rank} reduces other metrics than rank 0; rank {self.rank} has {names}")

    def gather(self, value: T) -> List[T]:
        """Everybody's value, by rank, on all ranks."""
        if self.size == 1:
            return [value]
        self.meet("save_checkpoint")
        mine = _packed(value)
        sizes = [int(size) for size in self._gather(torch.tensor([len(mine)]))]
        padded = torch.zeros(max(sizes), dtype=torch.uint8)
        padded[: len(mine)] = mine
        return [_unpacked(data[:size]) for data, size in zip(self._gather(padded), sizes)]

    def shared(self, make: Callable[[], T]) -> T:
        """Has rank 0 make something, and gives it, or the error, to all ranks."""
        if self.size == 1:
            return make()
        box: List[Any] = [None, None]
        failed: Optional[BaseException] = None
        if self.rank == 0:
            try:
                box[0] = make()
            except Exception as err:
                failed = err
                box[1] = _portable(err)
        packed = _packed(box if self.rank == 0 else None)
        size = torch.tensor([len(packed)])
        self._broadcast(size)
        if self.rank != 0:
            packed = torch.zeros(int(size), dtype=torch.uint8)
        self._broadcast(packed)
        if failed is not None:
            raise failed
        if self.rank != 0:
            box = _unpacked(packed)
        if box[1] is not None:
            raise box[1]
        made: T = box[0]
        return made

    def everywhere(self, here: bool) -> bool:
        """Whether it is so on all ranks."""
        if self.size == 1:
            return here
        flag = torch.tensor([1 if here else 0])
        self._reduce(flag, dist.ReduceOp.MIN)
        return bool(flag.item())

    def send_file(self, path: str, size: int) -> io.BytesIO:
        """Gives a file that rank 0 has to all ranks, piece by piece."""
        copy = io.BytesIO()
        with open(path if self.rank == 0 else "/dev/null", "rb") as file:
            for begin in range(0, size, PIECE):
                piece = torch.zeros(min(PIECE, size - begin), dtype=torch.uint8)
                if self.rank == 0:
                    piece = torch.frombuffer(bytearray(file.read(len(piece))), dtype=torch.uint8)
                self._broadcast(piece)
                copy.write(_bytes(piece))
        copy.seek(0)
        return copy


def _packed(value: Any) -> torch.Tensor:
    return torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)


def _unpacked(data: torch.Tensor) -> Any:
    return pickle.loads(_bytes(data))


def _bytes(data: torch.Tensor) -> bytes:
    """The bytes of a tensor, also where there is no numpy."""
    return ctypes.string_at(data.data_ptr(), data.numel()) if data.numel() else b""


def _portable(err: Exception) -> Exception:
    """The error, if the others can read it, else what it says."""
    try:
        pickle.loads(pickle.dumps(err))
        return err
    except Exception:
        return CheckpointError(f"rank 0: {err}")
