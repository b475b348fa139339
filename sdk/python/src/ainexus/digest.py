"""Writing a file and its SHA-256 at once."""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import Any, BinaryIO, List, Optional, Tuple, cast

# How many pieces may wait for the disk. PyTorch hands a tensor over in one piece, so this bounds the memory to so many
# of the largest tensor.
_WAITING = 2


class HashingWriter:
    """Passes on what is written to it, and adds it up, in two threads: neither waits for the other, and PyTorch is
    making the next piece meanwhile. Only write is for others; finish has to be called."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._sum = hashlib.sha256()
        self._size = 0
        self._failed: Optional[BaseException] = None
        self._queues: List["queue.Queue[Optional[bytes]]"] = [queue.Queue(_WAITING), queue.Queue(_WAITING)]
        self._threads = [
            threading.Thread(target=self._drain, args=(q, use), daemon=True, name="ainexus-checkpoint")
            for q, use in zip(self._queues, (self._put, self._sum.update))
        ]
        for thread in self._threads:
            thread.start()

    def _drain(self, pieces: "queue.Queue[Optional[bytes]]", use: Any) -> None:
        while True:
            piece = pieces.get()
            if piece is None:
                return
            if self._failed is None:
                try:
                    use(piece)
                except BaseException as err:  # told by the next write, or by finish
                    self._failed = err

    def _put(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[self._raw.write(view):]

    def write(self, data: Any) -> int:
        """Takes a piece. It fails as soon as an earlier one could not be written."""
        if self._failed is not None:
            raise self._failed
        piece = bytes(data)  # without a copy where it is bytes already, as in torch 1.13
        if piece:
            self._size += len(piece)
            for q in self._queues:
                q.put(piece)
        return len(piece)

    def flush(self) -> None:
        """Does nothing: finish does."""

    def finish(self) -> Tuple[int, str]:
        """Waits until everything is written and returns size and SHA-256 in hexadecimal."""
        self.close()
        if self._failed is not None:
            raise self._failed
        return self._size, self._sum.hexdigest()

    def close(self) -> None:
        """Ends the threads."""
        for q, thread in zip(self._queues, self._threads):
            if thread.is_alive():
                q.put(None)
        for thread in self._threads:
            thread.join()

    def binary(self) -> BinaryIO:
        """Itself, for those who want to hear that it is a file."""
        return cast(BinaryIO, self)
