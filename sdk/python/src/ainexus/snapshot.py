"""A copy of a state, so that training goes on while it is written."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Dict, Iterable, List, Tuple

import torch

from .crc import on_all_cores

Key = Tuple[torch.dtype, torch.Size]
_AT_ONCE = 1 << 20  # elements that one thread copies at once


class Snapshot:
    """Copies states onto the processor. Its memory is kept and used again: one copy, however often it is taken."""

    def __init__(self) -> None:
        self._free: Dict[Key, List[torch.Tensor]] = {}
        self._used: Dict[Key, List[torch.Tensor]] = {}
        self._copied: Dict[int, torch.Tensor] = {}
        self._waiting: List[Tuple[torch.Tensor, torch.Tensor]] = []  # parts of copies on the processor, and of what comes there

    def take(self, state: Any) -> Any:
        """The state with a copy of every tensor; the copy before it is given up."""
        self._free, self._used, self._copied = self._used, {}, {}
        self._waiting = []
        taken = self._copy(state)
        self._free = {}
        waiting, self._waiting = self._waiting, []
        on_all_cores(_fill, waiting, sum(part.numel() for part, _ in waiting) // _AT_ONCE)  # training stands still meanwhile
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.current_stream().synchronize()  # the copies travel at once, and are waited for once
        return taken

    def _copy(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, dict):
            copy = {k: self._copy(v) for k, v in value.items()}
            metadata = getattr(value, "_metadata", None)  # of a module's state_dict
            return copy if metadata is None else _with_metadata(copy, metadata)
        if isinstance(value, (list, tuple)):
            items = [self._copy(v) for v in value]
            return items if isinstance(value, list) else tuple(items)
        return value

    def _tensor(self, value: torch.Tensor) -> torch.Tensor:
        seen = self._copied.get(id(value))
        if seen is not None:
            return seen
        key = (value.dtype, value.shape)
        free = self._free.get(key)
        pinned = value.device.type == "cuda"
        copy = free.pop() if free else torch.empty(value.shape, dtype=value.dtype, pin_memory=pinned)
        if pinned or value.layout != torch.strided or not value.is_contiguous():
            copy.copy_(value.detach(), non_blocking=pinned)
        else:
            self._waiting.extend(zip(copy.view(-1).split(_AT_ONCE), value.detach().view(-1).split(_AT_ONCE)))
        self._used.setdefault(key, []).append(copy)
        self._copied[id(value)] = copy
        return copy


def _fill(parts: Iterable[Tuple[torch.Tensor, torch.Tensor]]) -> None:
    for copy, value in parts:
        copy.copy_(value)


def _with_metadata(copy: Dict[Any, Any], metadata: Any) -> Any:
    ordered: Any = OrderedDict(copy)
    ordered._metadata = metadata
    return ordered
