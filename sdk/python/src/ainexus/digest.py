"""Writing a file and its checksums at once."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple, cast

from .crc import PIECE, Sums

_AT_ONCE = 4 << 20  # bytes read back at once
_BEHIND = 32 << 20  # bytes that are worth a way to the disk
_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_AHEAD = 256 << 20  # bytes that may be kept in memory to be added up


class HashingWriter:
    """Passes on what is written to it to a file that is open for reading too, and one thread has the disk begin with it meanwhile. In haste another one
    makes the SHA-256, of the memory itself where that stays and else, as PyTorch's pieces are gone when write returns, of what is in the system's cache;
    what is left to do when the last piece is written is little. Otherwise write makes it, on one core. Only write, write_kept, parts and tell are for
    others; finish has to be called, and the file to be synced."""

    def __init__(self, fd: int, haste: bool = True) -> None:
        self._fd = fd
        self._haste = haste
        self._sum = hashlib.sha256()
        self._sums = Sums()
        self._size = 0
        self._added = 0
        self._kept: Dict[int, memoryview] = {}  # by where they begin in the file: what has to be added up and stays in memory
        self._sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)  # Linux has it
        self._over = False
        self._failed: Optional[BaseException] = None
        self._more = threading.Condition()
        self._threads: List[threading.Thread] = [
            threading.Thread(target=self._follow, args=(use, enough), daemon=True, name="ainexus-checkpoint")
            for use, enough in (((self._add, 1), (self._start, _BEHIND)) if haste else ((self._start, _BEHIND),))
        ]
        for thread in self._threads:
            thread.start()

    def _follow(self, use: Callable[[int, int], int], enough: int) -> None:
        """Uses what is written, from where it came to, whenever that is enough, until all is used."""
        done = 0
        try:
            while True:
                with self._more:
                    self._more.wait_for(lambda: self._over or self._size - done >= enough)
                    size = self._size
                    if self._failed is not None or (self._over and done == size):
                        return
                done = use(done, size)
        except BaseException as err:  # told by the next write, or by finish
            with self._more:
                self._failed = err
                self._more.notify_all()

    def _add(self, begin: int, end: int) -> int:
        kept = self._kept.pop(begin, None)
        if kept is not None:
            self._sum.update(kept)
            with self._more:
                self._added = begin + len(kept)
                self._more.notify_all()
            return self._added
        end = min([end, begin + _AT_ONCE, *list(self._kept)])
        piece = memoryview(bytearray(end - begin))
        count = os.preadv(self._fd, [piece], begin)
        if count == 0:
            raise OSError(f"the file ends at byte {begin}, although {end} were written")
        self._sum.update(piece[:count])
        return begin + count

    def _start(self, begin: int, end: int) -> int:
        """Has the disk begin with it. An fsync would wait, and write the file's size down, each time."""
        if self._sync_file_range is not None:
            self._sync_file_range(self._fd, ctypes.c_int64(begin), ctypes.c_int64(end - begin), ctypes.c_uint(_WRITE))
        return end

    def write(self, data: Any) -> int:
        """Writes a piece. It fails as soon as an earlier one could not be read back."""
        view = memoryview(data).cast("B")
        for part in self.parts(self._size, view):
            self._write(part, None, False)
        return len(view)

    def write_kept(self, data: memoryview, crc: int) -> None:
        """Writes one of the parts of something that does not change before finish returns, with its CRC-32."""
        self._write(data, crc, True)

    def parts(self, begin: int, data: memoryview) -> Iterator[memoryview]:
        """Data that begins there in the file, in parts that have to be written one by one."""
        while data:
            size = PIECE - begin % PIECE
            yield data[:size]
            begin, data = begin + size, data[size:]

    def _write(self, part: memoryview, crc: Optional[int], keep: bool) -> None:
        self._sums.add(part, crc)
        if not self._haste:
            self._sum.update(part)
        elif keep:
            with self._more:
                self._more.wait_for(lambda: self._failed is not None or not self._kept or self._size - self._added < _AHEAD)
                self._kept[self._size] = part
        left = part
        while left:
            if self._failed is not None:
                raise self._failed
            left = left[os.write(self._fd, left) :]
        with self._more:
            self._size += len(part)
            self._more.notify_all()

    def tell(self) -> int:
        """How many bytes were written."""
        return self._size

    def flush(self) -> None:
        """Does nothing: finish does."""

    def finish(self) -> Tuple[int, str, List[int]]:
        """Waits for the threads and returns size, SHA-256 in hexadecimal, and the CRC-32 of each piece."""
        self.close()
        if self._failed is not None:
            raise self._failed
        return self._size, self._sum.hexdigest(), self._sums.pieces

    def close(self) -> None:
        """Ends the threads."""
        with self._more:
            self._over = True
            self._more.notify_all()
        for thread in self._threads:
            thread.join()

    def binary(self) -> BinaryIO:
        """Itself, for those who want to hear that it is a file."""
        return cast(BinaryIO, self)
