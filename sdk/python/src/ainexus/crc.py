"""Checksums of the pieces of a file: quick to compare, on all cores.

SHA-256 says whether a file is the one that was saved, and one core has to go through all of it. For whether the disk gave back what it
was given the CRC-32 of each piece of 16 MiB does, as in file systems: it takes a fifth of the time, pieces can be compared at once,
and PyTorch's format wants it anyway.
"""

from __future__ import annotations

import functools
import os
import threading
import zlib
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence

PIECE = 16 << 20  # bytes that have a sum of their own
_AT_ONCE = 4 << 20  # bytes in memory for each thread
_POLYNOMIAL = 0xEDB88320
_WORTH = 256 << 10  # bytes that take longer to go through than to join


class Sums:
    """Makes the sums of a file that is written from its begin to its end."""

    def __init__(self) -> None:
        self.pieces: List[int] = []
        self._size = 0

    def add(self, data: memoryview, crc: Optional[int] = None) -> None:
        """Adds bytes, all of one piece, of which the CRC-32 may be known."""
        if self._size % PIECE == 0:
            self.pieces.append(0)
        before = self.pieces[-1]
        self.pieces[-1] = zlib.crc32(data, before) if crc is None or len(data) < _WORTH else join(before, crc, len(data))
        self._size += len(data)


def join(first: int, second: int, size: int) -> int:
    """The CRC-32 of two runs of bytes, one behind the other, from those of each and the size of the second."""
    return _product(_shift(size), first) ^ second


def _product(a: int, b: int) -> int:
    """Of polynomials over bits, the highest power in the lowest bit, modulo that of CRC-32."""
    product, bit = 0, 1 << 31
    while a:
        if a & bit:
            product ^= b
            a ^= bit
        bit >>= 1
        b = (b >> 1) ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@functools.lru_cache(maxsize=256)
def _shift(size: int) -> int:
    """What a CRC-32 is multiplied by when size bytes come behind it: x to the power of 8 * size."""
    power, square, bits = 1 << 31, 1 << 30, 8 * size
    while bits:
        if bits & 1:
            power = _product(square, power)
        square = _product(square, square)
        bits >>= 1
    return power


def differs(fd: int, size: int, piece: int, sums: Sequence[int]) -> Optional[int]:
    """Where the first of the pieces begins that is not what its sum says, or None."""
    wrong: List[int] = []

    def compare(numbers: Iterable[int]) -> None:
        buffer = memoryview(bytearray(min(_AT_ONCE, piece, max(size, 1))))
        for number in numbers:
            at, end, crc = number * piece, min(size, (number + 1) * piece), 0
            while at < end:
                count = os.preadv(fd, [buffer[: end - at]], at)
                if count == 0:
                    break  # it has become shorter
                crc = zlib.crc32(buffer[:count], crc)
                at += count
            if at < end or crc != sums[number]:
                wrong.append(number * piece)

    on_all_cores(compare, range(len(sums)), size // _AT_ONCE)
    return min(wrong, default=None)


def on_all_cores(work: Callable[[Iterator[Any]], None], items: Iterable[Any], worth: int) -> None:
    """Has threads, at most as many as are worth it, work on items that they take from one iterator."""
    source = _Shared(items)
    failed: List[BaseException] = []

    def run() -> None:
        try:
            work(source)
        except BaseException as err:  # raised below
            failed.append(err)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    others = [threading.Thread(target=run, name="ainexus-checkpoint") for _ in range(min(cores, 4, worth) - 1)]
    for thread in others:
        thread.start()
    run()
    for thread in others:
        thread.join()
    if failed:
        raise failed[0]


class _Shared:
    """An iterator for several threads."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return next(self._items)
