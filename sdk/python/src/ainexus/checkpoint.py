"""Directories of checkpoints, in the format that nexus reads and the Go package train/checkpoint writes.

A checkpoint P is a file with a manifest P.nexus.json beside it. It is valid only if the manifest is there and every file
that it lists has the size and the checksums it says: a SHA-256 of all, and the CRC-32 of each piece, which is what is compared here, where
they are there. The manifest is written last, so that a crash, a kill or a full disk
during a save leaves the checkpoints before it as they were.

A directory has one writer: whoever claimed it last. The claim is in the file EPOCH; a writer of the same job with an older
(attempt, round) is refused, and one whose claim was taken over cannot save any more. So a worker that comes back from
the dead never mixes its checkpoints with those of its successor.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from .crc import PIECE, differs
from .digest import HashingWriter
from .files import locked, remove, remove_large, replace_json

SUFFIX = ".nexus.json"
EPOCH = "EPOCH"
PREVIOUS = ".previous"  # what a checkpoint that is saved over is kept as
PREFIX = "step-"
OURS = re.compile(r"step-\d{12}-\d+(-\d+)?")  # checkpoints that are named here, and removed here


class CheckpointError(Exception):
    """A checkpoint that cannot be saved or loaded. Those that were there before are untouched."""


class FencedError(CheckpointError):
    """Another writer has the directory."""


@dataclass(frozen=True)
class Writer:
    """Who writes to a directory. Epochs are compared within one job only; outside of nexus the job is empty."""

    job: str = ""
    attempt: int = 0
    round: int = 0

    def __str__(self) -> str:
        return f"epoch {self.attempt}.{self.round}" + (f" of job {self.job!r}" if self.job else "")


class File(NamedTuple):
    """A file of a checkpoint."""

    name: str  # beside it
    size: int  # bytes
    sha256: str
    piece: int = 0  # bytes of each piece that has a sum of its own
    crc32: Tuple[int, ...] = ()  # none where another program wrote it


@dataclass(frozen=True)
class Found:
    """A checkpoint: where it is and what its manifest says."""

    path: str
    step: int
    world_size: int
    attempt: int
    round: int
    claim: int
    files: Tuple[File, ...]


@dataclass(frozen=True)
class Skipped:
    """A checkpoint that cannot be used, and why."""

    path: str
    reason: str


@dataclass
class _Claim:
    attempt: int = 0
    round: int = 0
    job: str = ""
    number: int = 0


@dataclass
class Directory:
    """A directory of checkpoints of one training run, which need not exist yet."""

    path: str
    writer: Writer = Writer()
    keep: int = 3  # of the checkpoints named here; less than 0 keeps all
    _mine: Optional[_Claim] = field(default=None, init=False)

    def claim(self) -> None:
        """Makes this the directory's writer, once. A newer epoch of the same job refuses it with a FencedError."""
        if self._mine is not None:
            return
        os.makedirs(self.path, exist_ok=True)
        with locked(self.path):
            owner = self._owner()
            w = self.writer
            if w.job and w.job == owner.job and (w.attempt, w.round) < (owner.attempt, owner.round):
                raise self._fenced(owner)
            mine = _Claim(w.attempt, w.round, w.job, owner.number + 1)
            said: Dict[str, Any] = {"attempt": mine.attempt, "round": mine.round}
            if mine.job:
                said["job"] = mine.job
            replace_json(os.path.join(self.path, EPOCH), {**said, "claim": mine.number})
            self._mine = mine

    def save(self, step: int, world_size: int, write: Callable[[HashingWriter], object], name: str = "", haste: bool = True) -> Found:
        """Saves what write writes, durably, and returns where it is. Those named after steps are removed, all but `keep`.
        Without haste it takes one core.

        The name is free_name's where it is left out. A checkpoint that has it already is kept as NAME.previous, so that a
        valid one is there at every moment.
        """
        if self._mine is None:
            raise CheckpointError(f"{self.path} was not claimed")
        name = name or self.free_name(step)
        part, file = self._write(name, write, haste)
        try:
            with locked(self.path):
                owner = self._owner()
                if owner != self._mine:
                    raise self._fenced(owner)
                self._set_aside(name)
                return self._settle(part, name, step, world_size, file)
        except BaseException:
            remove(part)
            raise

    def _write(self, name: str, write: Callable[[HashingWriter], object], haste: bool) -> Tuple[str, File]:
        """Writes the data under a temporary name, synced."""
        fd, part = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=self.path)
        try:
            with os.fdopen(fd, "r+b", buffering=0):
                with contextlib.closing(HashingWriter(fd, haste)) as out:
                    write(out)
                    size, digest, sums = out.finish()
                os.fchmod(fd, 0o644)
                os.fsync(fd)
        except BaseException:
            remove(part)
            raise
        return part, File(name, size, digest, PIECE, tuple(sums))

    def _settle(self, part: str, name: str, step: int, world_size: int, file: File) -> Found:
        assert self._mine is not None
        path = os.path.join(self.path, name)
        fresh = not os.path.exists(path)
        os.replace(part, path)
        # Not made durable by itself: should only the manifest's name outlive a crash, the checkpoint is none, and the one before is there.
        found = Found(path, step, world_size, self.writer.attempt, self.writer.round, self._mine.number, (file,))
        try:
            replace_json(path + SUFFIX, _manifest(found))
        except BaseException:
            if fresh:  # nobody else knows of it
                remove(path)
            raise
        self._tidy(name)
        return found

    def _set_aside(self, name: str) -> None:
        """Keeps a valid checkpoint that is about to be replaced under a second name, without copying it."""
        path = os.path.join(self.path, name)
        old = read_manifest(path)
        if isinstance(old, Skipped) or verify(old) is not None or old.files[0].name != name or len(old.files) != 1:
            return
        aside = path + PREVIOUS
        remove(aside + SUFFIX)  # first: without it nobody trusts the rest
        remove(aside)
        os.link(path, aside)
        replace_json(aside + SUFFIX, _manifest(Found(
            aside, old.step, old.world_size, old.attempt, old.round, old.claim, (old.files[0]._replace(name=name + PREVIOUS),))))

    def latest(
        self, usable: Callable[[str], bool] = lambda name: True,
    ) -> Tuple[Optional[Found], List[Skipped]]:
        """The newest valid checkpoint among those with a usable name, and the newer ones that are not valid."""
        skipped: List[Skipped] = []
        found: List[Found] = []
        for name in self._names():
            if usable(name):
                one = read_manifest(os.path.join(self.path, name))
                if isinstance(one, Skipped):
                    skipped.append(one)
                else:
                    found.append(one)
        for one in sorted(found, key=lambda f: (f.claim, f.step, f.path), reverse=True):
            wrong = verify(one)
            if wrong is None:
                return one, skipped
            skipped.append(Skipped(one.path, wrong))
        return None, skipped

    def _names(self) -> List[str]:
        """The names of all that has a manifest."""
        try:
            entries = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        return [e[: -len(SUFFIX)] for e in entries if e.endswith(SUFFIX) and not e.startswith(".")]

    def claim_if_ours(self) -> None:
        """Claims it already before the first save where this job wrote it: what is left of an older attempt is fenced off.
        Who only reads another job's checkpoints must not stop that job from saving."""
        if self.writer.job and self._owner().job == self.writer.job:
            self.claim()

    def _owner(self) -> _Claim:
        path = os.path.join(self.path, EPOCH)
        try:
            with open(path, encoding="utf-8") as file:
                said = json.load(file)
            return _Claim(int(said["attempt"]), int(said["round"]), str(said.get("job", "")), int(said.get("claim", 0)))
        except FileNotFoundError:
            return _Claim()
        except (ValueError, KeyError, TypeError) as err:
            raise CheckpointError(f"reading {path}: {err}") from err

    def _fenced(self, owner: _Claim) -> FencedError:
        other = Writer(owner.job, owner.attempt, owner.round)
        return FencedError(f"checkpoints in {self.path} belong to {other} now, this is {self.writer}")

    def free_name(self, step: int) -> str:
        """A name for the checkpoint of a step that none has yet. The directory has to be claimed."""
        assert self._mine is not None
        name = first = f"{PREFIX}{step:012d}-{self._mine.number}"
        again = 1
        while os.path.lexists(os.path.join(self.path, name + SUFFIX)):
            again += 1
            name = f"{first}-{again}"
        return name

    def _tidy(self, newest: str) -> None:
        """Removes checkpoints beyond those to keep, and what interrupted saves left. The lock is held and the claim ours,
        so that whoever may still be writing is fenced off. What cannot be removed stays for the next time."""
        steps = [read_manifest(os.path.join(self.path, n)) for n in self._names() if OURS.fullmatch(n)]
        found = sorted((f for f in steps if isinstance(f, Found)), key=lambda f: (f.claim, f.step, f.path), reverse=True)
        wanted: Set[str] = {newest}
        for i, one in enumerate(found):
            name = os.path.basename(one.path)
            if self.keep < 0 or i < self.keep or name == newest:
                wanted.update(file.name for file in one.files)
            elif remove(one.path + SUFFIX):
                remove_large(one.path)
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.path):
                temporary = entry.name.startswith("." + PREFIX) and entry.name.endswith(".tmp")
                orphan = (OURS.fullmatch(entry.name) and entry.name not in wanted
                          and not os.path.lexists(entry.path + SUFFIX))
                if (temporary or orphan) and entry.is_file(follow_symlinks=False):
                    remove(entry.path)


def _manifest(found: Found) -> Dict[str, Any]:
    return {
        "epoch": {"attempt": found.attempt, "round": found.round}, "step": found.step, "world_size": found.world_size,
        "files": [_described(file) for file in found.files],
        "claim": found.claim,
    }


def _described(file: File) -> Dict[str, Any]:
    said: Dict[str, Any] = {"name": file.name, "size": file.size, "sha256": file.sha256}
    if file.crc32:
        said["crc32"] = {"piece": file.piece, "sums": [f"{crc:08x}" for crc in file.crc32]}
    return said


def _file(said: Dict[str, Any]) -> File:
    file = File(str(said["name"]), int(said["size"]), str(said["sha256"]))
    pieces = said.get("crc32")
    if pieces is None:
        return file
    file = file._replace(piece=int(pieces["piece"]), crc32=tuple(int(crc, 16) for crc in pieces["sums"]))
    if file.piece <= 0 or len(file.crc32) != -(-file.size // file.piece):
        raise ValueError(f"{len(file.crc32)} sums of pieces of {file.piece} bytes are not those of {file.size} bytes")
    return file


def read_manifest(path: str) -> "Found | Skipped":
    """What the manifest of the checkpoint at path says, or why it says nothing."""
    try:
        with open(path + SUFFIX, encoding="utf-8") as file:
            said = json.load(file)
        files = tuple(_file(one) for one in said["files"])
        epoch = said["epoch"]
        return Found(path, int(said["step"]), int(said.get("world_size", 0)), int(epoch["attempt"]), int(epoch["round"]),
                     int(said.get("claim", 0)), files)
    except FileNotFoundError:
        return Skipped(path, "it has no manifest: it was never finished, or is not one of ours")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as err:
        return Skipped(path, f"its manifest cannot be read: {err!r}")


def verify(found: Found) -> Optional[str]:
    """Compares all bytes of a checkpoint with its manifest: what is wrong, or None."""
    if not found.files:
        return "its manifest lists no files"
    directory = os.path.dirname(found.path)
    for name, size, digest, piece, sums in found.files:
        if os.path.isabs(name) or ".." in name.split("/"):
            return f"its manifest lists {name!r}, which is not in the directory"
        try:
            with open(os.path.join(directory, name), "rb", buffering=0) as file:
                there = os.fstat(file.fileno()).st_size
                if there != size:
                    return f"{name} has {there} bytes, not {size}"
                if sums:
                    at = differs(file.fileno(), size, piece, sums)
                    if at is not None:
                        return f"{name} is damaged: of the {piece} bytes from {at} on, the CRC-32 is not that of its manifest"
                elif sha256_of(file) != digest:
                    return f"{name} is damaged: its SHA-256 is not that of its manifest"
        except OSError as err:
            return str(err)
    return None


def sha256_of(file: BinaryIO) -> str:
    """The SHA-256 of what is left of a file; other threads may run meanwhile. A mapping would be no faster, and kills
    the process where the file shrinks or its server goes away."""
    total, buffer = hashlib.sha256(), memoryview(bytearray(4 << 20))
    while True:
        count = file.readinto(buffer)  # type: ignore[attr-defined]
        if not count:
            return total.hexdigest()
        total.update(buffer[:count])


def family(name: str) -> "Callable[[str], bool]":
    """Tells the checkpoints that a script names alike: epoch_4.pt is one of epoch_5.pt's, best.pt is not."""
    def shape(of: str) -> str:
        of = of[: -len(PREVIOUS)] if of.endswith(PREVIOUS) else of
        return re.sub(r"\d+", "0", of)

    wanted = shape(name)
    return lambda other: shape(other) == wanted
