"""What is written is added up and on the disk; what cannot be is told, and no thread is left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from ainexus.crc import PIECE, differs, join
from ainexus.digest import HashingWriter


@pytest.mark.parametrize("haste", [True, False])
def test_pieces_of_all_sizes_are_added_up(tmp_path: Path, haste: bool) -> None:
    pieces = [random.Random(seed).randbytes(size) for seed, size in enumerate((1, 0, 7, 4096, (4 << 20) + 1, 17 << 20, 3))]
    before = threading.active_count()
    with open(tmp_path / "file", "w+b", buffering=0) as file, contextlib.closing(HashingWriter(file.fileno(), haste)) as out:
        for piece in pieces:
            reused = bytearray(piece)
            assert out.write(memoryview(reused)) == len(piece)
            reused[:] = bytes(len(piece))  # whoever wrote it needs its memory
        whole = b"".join(pieces)
        sums = [zlib.crc32(whole[at : at + PIECE]) for at in range(0, len(whole), PIECE)]
        assert out.finish() == (len(whole), hashlib.sha256(whole).hexdigest(), sums)
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)
    assert threading.active_count() == before


@pytest.mark.parametrize("haste", [True, False])
def test_what_is_kept_is_added_up_between_what_is_not(tmp_path: Path, haste: bool) -> None:
    kept = random.Random(1).randbytes(PIECE + 300_000)
    with open(tmp_path / "file", "w+b", buffering=0) as file, contextlib.closing(HashingWriter(file.fileno(), haste)) as out:
        for _ in range(3):
            out.write(b"head")
            for part in list(out.parts(out.tell(), memoryview(kept))):
                out.write_kept(part, zlib.crc32(part))
        size, digest, sums = out.finish()
        assert differs(file.fileno(), size, PIECE, sums) is None
    assert (tmp_path / "file").read_bytes() == (b"head" + kept) * 3
    assert (size, digest) == (3 * (4 + len(kept)), hashlib.sha256((b"head" + kept) * 3).hexdigest())


@pytest.mark.parametrize("first, second", [(0, 0), (0, 5), (5, 0), (1, 1), (1000, 300_000), (300_001, 77)])
def test_sums_are_joined(first: int, second: int) -> None:
    a, b = random.Random(first).randbytes(first), random.Random(second).randbytes(second)
    assert join(zlib.crc32(a), zlib.crc32(b), len(b)) == zlib.crc32(a + b)


@pytest.mark.parametrize("at", [0, PIECE - 1, PIECE, 2 * PIECE + 5])
def test_any_bit_that_differs_is_found(tmp_path: Path, at: int) -> None:
    data = bytearray(2 * PIECE + 6)
    sums = [zlib.crc32(data[begin : begin + PIECE]) for begin in range(0, len(data), PIECE)]
    data[at] ^= 4
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as file:
        assert differs(file.fileno(), len(data), PIECE, sums) == at // PIECE * PIECE
        os.truncate(file.name, len(data) - 1)
        assert differs(file.fileno(), len(data), PIECE, sums) is not None


@pytest.mark.parametrize("broken", ["preadv"])
def test_what_another_thread_met_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fails(*args: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, broken, fails)
    with open(tmp_path / "file", "w+b", buffering=0) as file, contextlib.closing(HashingWriter(file.fileno())) as out:
        with pytest.raises(OSError, match="Input/output"):
            out.write(b"x" * 1000)
            out.finish()
