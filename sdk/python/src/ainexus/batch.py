"""The largest batch that fits, found by training with it.

Steps of growing size are run, forward, backward and optimizer, and the most memory that each took is measured: on a GPU
by PyTorch's allocator, on the processor by what the kernel says of this process. A line through the sizes tells which to
try next; an out-of-memory error is recovered from and bounds the search. Model, optimizer and random numbers are
afterwards what they were.
"""

from __future__ import annotations

import gc
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.distributed as dist

from .memory import Meter, is_out_of_memory, meter_for
from .state import random_state, set_random_state, unwrapped

Shape = Sequence[int]
Tried = Dict[int, Optional[int]]

TOLERANCE = 0.02  # how far below the largest size the answer may be
TRIES = 40
GROWTH = 4  # at most so many times the largest size that fitted


class BatchSize(int):
    """A number of samples, and how it was found."""

    budget: int  # bytes that a step may take, safety included
    tried: Tried  # the bytes that each size took; None: out of memory

    @property
    def per_sample(self) -> float:
        """Bytes that a sample more takes, between the smallest and the largest size that fitted."""
        fitted = sorted((size, peak) for size, peak in self.tried.items() if peak is not None)
        if len(fitted) < 2 or fitted[0][0] == fitted[-1][0]:
            return 0.0
        return (fitted[-1][1] - fitted[0][1]) / (fitted[-1][0] - fitted[0][0])


def find_batch_size(
    model: torch.nn.Module, input_shape: Union[Shape, Sequence[Shape]], safety: float = 0.8, *,
    optimizer: Optional[Any] = None, loss: Optional[Callable[[Any], Any]] = None, dtype: Optional[torch.dtype] = None,
    batch: Optional[Callable[[int], Any]] = None, memory: Optional[int] = None, largest: int = 1 << 20,
) -> BatchSize:
    """The largest batch with which a step takes no more than `safety` of the memory, the same on all ranks.

    `input_shape`: of one sample, or one shape for each input. `dtype`: of the inputs, default that of the model;
    integers are zeros. `batch` makes the inputs of a size itself. `optimizer`: default AdamW. `loss` makes a number of
    what the model returns, default the mean square. `memory`: bytes to count with, default what this process has or
    could get: of the GPU, or of the machine's memory its share among the ranks there. `largest`: stop there.
    All ranks call it. It fails with ValueError where not even one sample fits.
    """
    if not 0 < safety <= 1:
        raise ValueError(f"a safety of {safety} is not between 0 and 1")
    inner = unwrapped(model)
    device = next((p.device for p in inner.parameters()), torch.device("cpu"))
    meter = meter_for(device)
    budget = int(safety * (memory if memory is not None else meter.available()))
    trial = _Trial(inner, optimizer, loss, batch or _inputs(inner, input_shape, dtype, device), meter)
    try:
        if inner is not model:  # DistributedDataParallel keeps the gradients in buckets of its own, too
            trial.apart -= sum(p.numel() * p.element_size() for p in inner.parameters() if p.requires_grad)
        size, budget, tried = within(trial.measure, budget, safety, largest)
    finally:
        trial.restore()
    return _agreed(size, budget, tried)


def within(measure: Callable[[int], Optional[int]], budget: int, safety: float, largest: int) -> Tuple[int, int, Tried]:
    """The largest size within the budget, the budget and what was measured. Where memory runs out before the budget does,
    there is less than was thought: what the largest size that runs takes is all there is, and safety is of that."""
    size, tried = search(measure, budget, largest)
    edge = tried.get(size)
    if edge is not None and any(peak is None for peak in tried.values()):
        budget = min(budget, int(safety * edge))
        size, tried = search(measure, budget, largest, tried)
    return size, budget, tried


def search(
    measure: Callable[[int], Optional[int]], budget: int, largest: int, known: Optional[Tried] = None
) -> Tuple[int, Tried]:
    """The largest size of which the measure is within the budget, up to the tolerance, and what was measured: bytes, or
    None where memory ran out. 0: none fits. What is known is not measured again."""
    tried: Tried = dict(known or {})
    fits = [size for size, peak in tried.items() if peak is not None and peak <= budget]
    good = max(fits, default=0)
    bad = min((size for size in tried if size not in fits), default=largest + 1)
    # A single sample is one that batch normalisation refuses.
    size = _next(tried, good, bad, budget, largest, True) if tried else min(2, largest)
    while bad - good > max(1, int(good * TOLERANCE)) and len(tried) < TRIES:
        peak = tried[size] = measure(size)
        lower, width = good, bad - good
        if peak is None or peak > budget:
            bad = size
        else:
            good = size
        useful = bad - good <= width // 2 or good >= 2 * lower
        size = _next(tried, good, bad, budget, largest, useful)
    return good, tried


def _next(tried: Tried, good: int, bad: int, budget: int, largest: int, useful: bool) -> int:
    """The size to try next: where the line through what is known meets the budget. Where that told little the last time,
    or memory ran out before the budget did, it is the middle of what is possible."""
    known = sorted((size, peak) for size, peak in tried.items() if peak is not None)
    middle = (good + bad) // 2 if bad <= largest else 2 * good
    if not useful or len(known) < 2 or good == 0 or bad in tried and tried[bad] is None:
        size = middle
    else:
        (s0, p0), (s1, p1) = _around(known, good)
        slope = (p1 - p0) / (s1 - s0)
        size = int(s1 + (budget - p1) / slope) if slope > 0 else GROWTH * s1
        # Next to a bound, one step away from it: then the search may be over.
        size = max(size, good + int(good * TOLERANCE))
        size = min(size, bad - int(good * TOLERANCE))
    return max(good + 1, min(size, bad - 1, max(GROWTH * good, 1)))


def _around(known: List[Tuple[int, int]], good: int) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """The two measured points to draw the line through: on both sides of the budget, else the two largest."""
    at = max(i for i, (size, _) in enumerate(known) if size <= max(good, known[0][0]))
    if at + 1 < len(known):
        return known[at], known[at + 1]
    return known[at - 1], known[at]


class _Trial:
    """A model that is trained for a few steps and put back."""

    def __init__(self, model: torch.nn.Module, optimizer: Optional[Any], loss: Optional[Callable[[Any], Any]],
                 batch: Callable[[int], Any], meter: Meter) -> None:
        self._model = model
        self._loss = loss or _mean_square
        self._batch = batch
        self._meter = meter
        self._training = model.training
        self._random = random_state()
        self._before = {k: v.detach().to("cpu", copy=True) for k, v in model.state_dict().items()}
        self._gradients = [(p, p.grad) for p in model.parameters()]
        for parameter in model.parameters():  # zero_grad would write into those that are kept
            parameter.grad = None
        self._fresh = optimizer is None or not optimizer.state
        self._optimizer = optimizer or torch.optim.AdamW(model.parameters())
        self._groups = None if self._fresh else _on_cpu(self._optimizer.state_dict())
        # What is only here because of the trial, and not to be counted.
        on_meter = meter.device.type == "cpu"
        self.apart = sum(v.numel() * v.element_size() for v in self._before.values()) if on_meter else 0
        model.train()

    def measure(self, size: int) -> Optional[int]:
        """The bytes that this process takes at most in a step of that size; None: out of memory."""
        fits = self._step(size)  # makes gradients and the optimizer's state, too
        if fits:
            self._meter.reset()
            fits = self._step(size)
        peak = self._meter.peak() if fits else None
        self._clean()
        return None if peak is None else max(0, peak - self.apart)

    def _step(self, size: int) -> bool:
        try:
            self._optimizer.zero_grad()
            inputs = self._batch(size)
            out = self._model(*inputs) if isinstance(inputs, (list, tuple)) else self._model(inputs)
            self._loss(out).backward()
            self._optimizer.step()
            return True
        except Exception as err:
            if not is_out_of_memory(err):
                raise
        return False  # outside of the handler: the error holds on to the tensors

    def _clean(self) -> None:
        for parameter in self._model.parameters():
            parameter.grad = None
        gc.collect()
        self._meter.trim()

    def restore(self) -> None:
        """Puts everything back."""
        self._clean()
        with torch.no_grad():
            for name, value in self._model.state_dict().items():
                value.copy_(self._before[name])
        if self._groups is not None:
            self._optimizer.load_state_dict(self._groups)
        else:
            self._optimizer.state.clear()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        self._model.train(self._training)
        set_random_state(self._random)
        self._before = {}


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {k: _on_cpu(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_on_cpu(v) for v in value)
    return value


def _inputs(model: torch.nn.Module, shape: Any, dtype: Optional[torch.dtype], device: torch.device) -> Callable[[int], Any]:
    shapes: List[Shape] = [tuple(s) for s in shape] if shape and not isinstance(shape[0], int) else [tuple(shape)]
    kind: Any = dtype or next((p.dtype for p in model.parameters()), torch.float32)

    def make(size: int) -> List[torch.Tensor]:
        if kind.is_floating_point:
            return [torch.randn((size, *one), dtype=kind, device=device) for one in shapes]
        return [torch.zeros((size, *one), dtype=kind, device=device) for one in shapes]

    return make


def _mean_square(out: Any) -> torch.Tensor:
    """A number that every tensor of the output has a part in."""
    if isinstance(out, torch.Tensor):
        return out.float().square().mean()
    values = list(out.values()) if isinstance(out, dict) else list(out)
    parts = [_mean_square(v) for v in values if isinstance(v, (torch.Tensor, dict, list, tuple))]
    if not parts:
        raise ValueError("the model returns no tensor: say loss=")
    return torch.stack(parts).sum()


def _agreed(size: int, budget: int, tried: Tried) -> BatchSize:
    """The smallest of all ranks' sizes."""
    if dist.is_available() and dist.is_initialized():
        device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
        least = torch.tensor([size], device=device)
        dist.all_reduce(least, op=dist.ReduceOp.MIN)
        size = int(least.item())
    if size < 1:
        least_tried = min(tried)
        took = tried[least_tried] or "more than there is"
        raise ValueError(f"not even a batch of {least_tried} fits into {budget} bytes: it took {took}")
    result = BatchSize(size)
    result.budget, result.tried = budget, tried
    return result
