"""Writing a file and its SHA-256 at once."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any, BinaryIO, Callable, List, Optional, Tuple, cast

_PIECE = 4 << 20  # bytes read back at once
_BEHIND = 32 << 20  # bytes that are worth a way to the disk


class HashingWriter:
    """Passes on what is written to it to a file that is open for reading too. In haste one thread meanwhile adds up what is there, from the
    system's cache, and one has the disk take it: nothing is copied to be kept, as PyTorch's pieces are gone when write returns, and what is
    left to do when the last one is written is little. Otherwise write adds up, on one core. Only write is for others; finish has to be called."""

    def __init__(self, fd: int, haste: bool = True) -> None:
        self._fd = fd
        self._sum = hashlib.sha256()
        self._size = 0
        self._over = False
        self._failed: Optional[BaseException] = None
        self._more = threading.Condition()
        self._threads: List[threading.Thread] = [
            threading.Thread(target=self._follow, args=(use, enough), daemon=True, name="ainexus-checkpoint")
            for use, enough in (((self._add, 1), (self._sync, _BEHIND)) if haste else ())
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
            self._failed = err

    def _add(self, begin: int, end: int) -> int:
        if begin == 0:
            self._piece = memoryview(bytearray(_PIECE))
        count = os.preadv(self._fd, [self._piece[: end - begin]], begin)
        if count == 0:
            raise OSError(f"the file ends at byte {begin}, although {end} were written")
        self._sum.update(self._piece[:count])
        return begin + count

    def _sync(self, begin: int, end: int) -> int:
        os.fsync(self._fd)
        return end

    def write(self, data: Any) -> int:
        """Writes a piece. It fails as soon as an earlier one could not be read back, or not be brought to the disk."""
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            if self._failed is not None:
                raise self._failed
            count = os.write(self._fd, view)
            if not self._threads:
                self._sum.update(view[:count])
            view = view[count:]
            with self._more:
                self._size += count
                self._more.notify_all()
        return size

    def flush(self) -> None:
        """Does nothing: finish does."""

    def finish(self) -> Tuple[int, str]:
        """Waits for the threads and returns size and SHA-256 in hexadecimal."""
        self.close()
        if self._failed is not None:
            raise self._failed
        return self._size, self._sum.hexdigest()

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
