"""Being asked to stop, and agreeing on when."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any, Optional

import torch
import torch.distributed as dist

# Steps longer than this are asked about at their own end. After shorter ones the question travels while the next step is
# computed, and its answer counts one step later.
SHORT = 0.05  # seconds


class StopSignal:
    """Takes over SIGTERM: it asks for a stop instead of ending the process."""

    def __init__(self, log: logging.Logger) -> None:
        self.asked = False
        self._log = log
        self._owner = 0
        self._before: Any = None

    def arm(self) -> None:
        """Begins to listen, once. Only the main thread can; elsewhere SIGTERM stays what it was."""
        if self._owner:
            return
        if threading.current_thread() is not threading.main_thread():
            self._log.warning("the first step() is not in the main thread, so SIGTERM ends this process without a save")
            self._owner = -1
            return
        self._before = signal.signal(signal.SIGTERM, self._on_term)
        self._owner = os.getpid()
        os.register_at_fork(after_in_child=self._forked)

    def _on_term(self, number: int, frame: Any) -> None:
        self.asked = True
        if callable(self._before):
            self._before(number, frame)

    def _forked(self) -> None:
        """In a child, a data loader say: whoever ends it means it. Else multiprocessing would wait for it for ever."""
        if self._owner > 0 and self._owner != os.getpid():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._owner = -1

    def disarm(self, expected: bool = False) -> None:
        """Gives SIGTERM back. Where it is expected, because other ranks got it and this one has already done what it asks
        for, it is ignored from now on: it would only kill a process that is about to end well."""
        if self._owner == os.getpid():
            self._owner = -1
            after = signal.SIG_DFL if self._before is None else self._before
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN if expected and not self.asked else after)


class Agreement:
    """Finds out whether any rank was asked to stop: all get the same answer at the same step, because it is a collective
    that tells it. Its group is its own, so that it cannot be mixed up with the script's collectives."""

    def __init__(self, group: Optional[Any], world_size: int) -> None:
        self._group = group
        self._world_size = world_size
        self._question: Optional[torch.Tensor] = None
        self._work: Optional[Any] = None
        self._last: Any = None  # see Ranks, of operations that are held
        self._at_once = True  # the first step is a long one
        self.stopped = False

    def ask(self, asked: bool, lasted: float) -> bool:
        """Whether all stop now. `lasted` is how many seconds this rank's step took; who is slowest decides how to ask."""
        if self._world_size == 1:
            self.stopped = self.stopped or asked
            return self.stopped
        if self._work is not None:
            self._answer()
        if not self.stopped:
            self._question = torch.tensor([1.0 if asked else 0.0, lasted], dtype=torch.float64)
            self._work = dist.all_reduce(self._question, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
            if self._at_once:
                self._answer()
        return self.stopped

    def _answer(self) -> None:
        assert self._work is not None and self._question is not None
        self._work.wait()
        stop, lasted = self._question.tolist()
        self._last = (self._work, self._question)
        self._work = self._question = None
        self.stopped, self._at_once = stop > 0, lasted > SHORT

    def close(self, well: bool) -> None:
        """Hears the last answer. Where the run failed some ranks may be gone: nobody waits for them."""
        if well and self._work is not None:
            self._answer()

    def forget(self) -> None:
        """Lets go of what is left, when the group is gone."""
        self._work = self._question = self._last = None
