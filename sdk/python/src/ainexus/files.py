"""Files that are replaced whole, and the lock of a directory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import threading
from typing import Any, Iterator


def replace(path: str, data: bytes, durable: bool = True) -> None:
    """Puts data at path: whoever reads sees the old file or the new one, and, if durable, also after a crash."""
    directory = os.path.dirname(path) or "."
    fd, part = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(fd, 0o644)
            if durable:
                os.fsync(fd)
        os.replace(part, path)
    except BaseException:
        remove(part)
        raise
    if durable:
        sync_directory(directory)


def replace_json(path: str, value: Any, durable: bool = True) -> None:
    """Puts value at path as one line of JSON, which has no NaN."""
    replace(path, json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n", durable)


def sync_directory(path: str) -> None:
    """Makes renames and removals durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove(path: str) -> bool:
    """Removes a file; False where that cannot be done."""
    try:
        os.remove(path)
    except OSError:
        return False
    return True


def remove_large(path: str) -> bool:
    """Removes a file; what it took on the disk is given back while others go on, as that takes a tenth of the time it took to write."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return remove(path)
    gone = remove(path)
    threading.Thread(target=os.close, args=(fd,), name="ainexus-remove").start()
    return gone


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Holds the directory's lock, which package train/checkpoint takes too."""
    fd = os.open(os.path.join(directory, ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
