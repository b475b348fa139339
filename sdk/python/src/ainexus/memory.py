"""How much memory there is, and how much a step takes."""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from typing import Optional

import torch

from .env import Env


class Meter:
    """The memory of the processor: what the kernel counts as this process's."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._exact = True
        self._sampler: Optional[_Sampler] = None

    def available(self) -> int:
        """Bytes that this process has or could get, the other ranks of this machine getting as much."""
        free = _meminfo("MemAvailable")
        for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
            bound, now = _number(os.path.join("/sys/fs/cgroup", limit)), _number(os.path.join("/sys/fs/cgroup", used))
            if bound is not None and now is not None:
                free = min(free, max(0, bound - now))
        return _status("VmRSS") + free // Env.read().local_world_size

    def reset(self) -> None:
        """Begins to look for the peak anew."""
        if self._exact:
            try:
                with open("/proc/self/clear_refs", "w") as file:
                    file.write("5")  # sets VmHWM to VmRSS
                return
            except OSError:
                self._exact = False
        self._sampler = _Sampler()

    def peak(self) -> int:
        """The most since reset, in bytes."""
        return _status("VmHWM") if self._exact or self._sampler is None else self._sampler.stop()

    def trim(self) -> None:
        """Gives back what is free. Else the next step might use it and seem to take nothing."""
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # no glibc
            pass


class CUDAMeter(Meter):
    """The memory of a GPU: what PyTorch's allocator has taken from the driver."""

    def available(self) -> int:
        free, total = torch.cuda.mem_get_info(self.device)
        share = Env.read().gpu_memory_mib << 20
        mine: int = free + torch.cuda.memory_reserved(self.device)
        return min(mine, share) if share else mine

    def reset(self) -> None:
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        torch.cuda.synchronize(self.device)
        peak: int = torch.cuda.max_memory_reserved(self.device)
        return peak

    def trim(self) -> None:
        torch.cuda.empty_cache()


def meter_for(device: torch.device) -> Meter:
    """The meter of a device's memory."""
    return CUDAMeter(device) if device.type == "cuda" else Meter(device)


def is_out_of_memory(err: BaseException) -> bool:
    """Whether the error says that memory ran out. PyTorch has a class of its own for CUDA only."""
    if isinstance(err, MemoryError):
        return True
    text = str(err)
    return isinstance(err, RuntimeError) and bool(
        re.search(r"out of memory|can't allocate memory|not enough memory|std::bad_alloc|STATUS_ALLOC_FAILED", text))


class _Sampler:
    """Looks at the memory every millisecond, where the kernel keeps no peak that can be reset."""

    def __init__(self) -> None:
        self._most = _status("VmRSS")
        self._going = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self._going:
            self._most = max(self._most, _status("VmRSS"))
            time.sleep(0.001)

    def stop(self) -> int:
        self._going = False
        self._thread.join()
        return max(self._most, _status("VmRSS"))


def _status(key: str) -> int:
    return _kilobytes("/proc/self/status", key)


def _meminfo(key: str) -> int:
    return _kilobytes("/proc/meminfo", key)


def _kilobytes(path: str, key: str) -> int:
    with open(path) as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) << 10
    raise OSError(f"{path} says nothing of {key}")


def _number(path: str) -> Optional[int]:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):  # there is none, or it says "max"
        return None
