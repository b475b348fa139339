"""Pace: how long this rank works before it enters the collectives of a step, which tells who keeps the others waiting.

All ranks of a step take equally long, because they wait for the slowest. What differs is how long each works before it begins to
wait. DistributedDataParallel waits at the very end of the backward pass, in a callback of PyTorch's autograd engine. Engine
callbacks run in the order in which they were queued, and one may be queued by another: so one of ours that is queued when the
backward pass begins runs right before DDP's, and one that it queues itself right after. Between the two is the waiting; everything
else, from one waiting to the next, is this rank's own: loading data, forward, backward, the optimizer.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from typing import Any, Callable, Deque, Iterator, Optional, Tuple

import torch

Event = Any  # torch.cuda.Event


class Pace:
    """Measures the own time of each step. It costs one hook and two callbacks per backward pass, and waits for nothing."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._since: Optional[float] = None  # the last waiting ended
        self._own = 0.0  # before the waitings of this step
        self._waits = 0  # of this step
        self._queued = False
        self._wrong = False
        self._device: Optional[_DevicePace] = None

    def watch(self, model: torch.nn.Module, device: torch.device) -> None:
        """Begins to measure a model in DDP."""
        if device.type == "cuda":
            self._device = _DevicePace()
        model.register_forward_hook(self._forwarded)

    def _forwarded(self, module: Any, args: Any, output: Any) -> None:
        self._queued = False
        if self._wrong or not torch.is_grad_enabled():
            return
        for tensor in _differentiable(output):
            tensor.register_hook(self._backward_begins)

    def _backward_begins(self, grad: torch.Tensor) -> None:
        if self._queued:
            return
        self._queued = True
        self._queue(self._waiting_begins)

    def _queue(self, callback: Callable[[], None]) -> None:
        try:
            torch.autograd.Variable._execution_engine.queue_callback(callback)
        except Exception as err:  # measuring is a favour: it must not end the training
            self._wrong = True
            self._log.warning("how long this rank works before the others can go on is not measured: %s", err)

    def _waiting_begins(self) -> None:
        if self._since is not None:
            self._own += self._clock() - self._since
            self._waits += 1
        if self._device is not None:
            self._device.waiting_begins()
        self._queue(self._waiting_ended)

    def _waiting_ended(self) -> None:
        self._since = self._clock()
        if self._device is not None:
            self._device.waiting_ended()

    @contextlib.contextmanager
    def apart(self, brief: bool = False) -> Iterator[None]:
        """What happens inside, another collective or a save, is not this rank's own time. `brief`: it does not hold up a GPU."""
        begun = self._clock()
        try:
            yield
        finally:
            if self._since is not None:
                self._since += self._clock() - begun
            if self._device is not None and not brief:
                self._device.forget()

    def step(self) -> Optional[float]:
        """The own seconds of the step that has just ended; None where that was not measured."""
        own, waits = self._own, self._waits
        self._own, self._waits = 0.0, 0
        if self._device is not None:
            return self._device.step()
        return own if waits else None


class _DevicePace:
    """The same on a GPU, whose work runs behind the processor's: marks in its stream, read when it has come by them."""

    def __init__(self, event: Callable[[], Event] = lambda: torch.cuda.Event(enable_timing=True)) -> None:
        self._event = event
        self._since: Optional[Event] = None
        self._marks: Deque[Tuple[Event, Event]] = deque(maxlen=64)

    def waiting_begins(self) -> None:
        if self._since is not None:
            mark = self._event()
            mark.record()
            self._marks.append((self._since, mark))

    def waiting_ended(self) -> None:
        self._since = self._event()
        self._since.record()

    def forget(self) -> None:
        """The stream was idle for another reason."""
        self._since = None

    def step(self) -> Optional[float]:
        """The newest that the device has come by."""
        own = None
        while self._marks and self._marks[0][1].query():
            begin, end = self._marks.popleft()
            own = begin.elapsed_time(end) / 1000
        return own


def _differentiable(output: Any, depth: int = 3) -> Iterator[torch.Tensor]:
    """The tensors in what a model returns from which a backward pass may begin."""
    if isinstance(output, torch.Tensor):
        if output.requires_grad:
            yield output
    elif depth and isinstance(output, (list, tuple)):
        for one in output:
            yield from _differentiable(one, depth - 1)
    elif depth and isinstance(output, dict):
        for one in output.values():
            yield from _differentiable(one, depth - 1)
