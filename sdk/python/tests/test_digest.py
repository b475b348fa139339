"""What is written is added up and on the disk; what cannot be is told, and no thread is left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from ainexus.digest import HashingWriter


@pytest.mark.parametrize("haste", [True, False])
def test_pieces_of_all_sizes_are_added_up(tmp_path: Path, haste: bool) -> None:
    pieces = [random.Random(seed).randbytes(size) for seed, size in enumerate((1, 0, 7, 4096, (4 << 20) + 1, 9 << 20, 3))]
    before = threading.active_count()
    with open(tmp_path / "file", "w+b", buffering=0) as file, contextlib.closing(HashingWriter(file.fileno(), haste)) as out:
        for piece in pieces:
            reused = bytearray(piece)
            assert out.write(memoryview(reused)) == len(piece)
            reused[:] = bytes(len(piece))  # whoever wrote it needs its memory
        assert out.finish() == (sum(map(len, pieces)), hashlib.sha256(b"".join(pieces)).hexdigest())
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)
    assert threading.active_count() == before


@pytest.mark.parametrize("broken", ["fsync", "preadv"])
def test_what_another_thread_met_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fails(*args: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, broken, fails)
    with open(tmp_path / "file", "w+b", buffering=0) as file, contextlib.closing(HashingWriter(file.fileno())) as out:
        with pytest.raises(OSError, match="Input/output"):
            out.write(b"x" * 1000)
            out.finish()
