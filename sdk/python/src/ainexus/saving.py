"""Where checkpoints go and come from, for all ranks together."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import state as states
from .checkpoint import SUFFIX, CheckpointError, Directory, Found, Skipped, Writer, family, read_manifest, verify
from .env import Env
from .files import replace_json
from .ranks import Ranks
from .snapshot import Snapshot
from .state import State


class Saver:
    """Saves and loads. Rank 0 writes; all ranks hear how it went."""

    def __init__(self, env: Env, ranks: Ranks, log: logging.Logger, checkpoints: Optional[str], keep: int) -> None:
        self._env = env
        self._ranks = ranks
        self._log = log
        self._keep = keep
        self._writer = Writer(env.job, env.attempt, env.round)
        self._directories: Dict[str, Directory] = {}
        self._snapshot = Snapshot()
        self._underway = False  # a save in the background, known to all ranks
        self._background: Optional[_Background] = None  # rank 0's
        if checkpoints is None:
            # By job, so that a new job trains afresh and one that was restarted goes on.
            checkpoints = os.path.join(env.checkpoint_path, env.job) if env.checkpoint_path else "checkpoints"
        self._default = os.path.abspath(checkpoints)

    def _at(self, filepath: Optional[str]) -> Tuple[Directory, str]:
        """The directory, and the name of the checkpoint in it, where it is to have one."""
        path = self._default if filepath is None else os.path.abspath(filepath)
        name = ""
        if filepath is not None and not filepath.endswith(os.sep) and not os.path.isdir(path):
            path, name = os.path.split(path)
        if path not in self._directories:
            self._directories[path] = Directory(path, self._writer, self._keep)
        return self._directories[path], name

    def save(self, state: State, filepath: Optional[str], background: bool, acknowledge: bool) -> str:
        """Saves a state, which all ranks have made, and returns where it is, or will be."""
        try:
            self.wait()
        except CheckpointError as err:
            self._log.warning("%s", err)  # this save may do better
        path = self._ranks.shared(lambda: self._begin(state, filepath, background, acknowledge))
        self._underway = background
        if acknowledge:
            self._log.info("saved and acknowledged step %d: %s", state["step"], path)
        return path

    def _begin(self, state: State, filepath: Optional[str], background: bool, acknowledge: bool) -> str:
        """Rank 0's part of a save."""
        states.check(state)
        directory, name = self._at(filepath)
        try:
            directory.claim()
            name = name or directory.free_name(state["step"])
            if background:
                self._background = _Background(directory, name, self._snapshot.take(state))
                return os.path.join(directory.path, name)
            found = _save(directory, name, state, haste=True)
            if acknowledge and self._env.ack_file:
                # Everything is on disk: only now may the job be ended.
                replace_json(self._env.ack_file, {"attempt": self._env.attempt_name, "step": found.step, "path": found.path})
            return found.path
        except OSError as err:
            raise _failed(state, err) from err

    def wait(self) -> None:
        """Waits for the save in the background, if there is one, and fails on all ranks if it did."""
        if self._underway:
            self._underway = False
            self._ranks.shared(self.finish)

    def finish(self) -> None:
        """Waits on this rank alone."""
        background, self._background = self._background, None
        if background is not None:
            background.finish()

    def load(self, filepath: Optional[str], into: Mapping[str, Any]) -> Optional[Tuple[State, str, List[Skipped]]]:
        """The newest valid state, the same on all ranks, its path, and what was passed over; None if there is none. Nothing comes into the
        tensors `into` before all of it was compared."""
        self._ranks.meet("load_checkpoint")
        self.wait()
        found, skipped = self._ranks.shared(lambda: self._find(filepath))
        for one in skipped:
            if self._ranks.rank == 0:
                self._log.warning("checkpoint %s is not valid, passed over: %s", one.path, one.reason)
        if found is None:
            return None
        return self._read(found, into), found.path, skipped

    def _find(self, filepath: Optional[str]) -> Tuple[Optional[Found], List[Skipped]]:
        """Rank 0's part of a load: it alone reads all bytes to compare them."""
        directory, name = self._at(filepath)
        if filepath is None:
            directory.claim_if_ours()
        if not name:
            return directory.latest()
        path = os.path.join(directory.path, name)
        if not os.path.lexists(path) and not os.path.lexists(path + SUFFIX):
            return None, []
        wanted = read_manifest(path)
        if isinstance(wanted, Found):
            wrong = verify(wanted)
            if wrong is None:
                return wanted, []
            wanted = Skipped(path, wrong)
        alike = family(name)
        found, skipped = directory.latest(lambda other: other != name and alike(other))
        if found is None:
            raise CheckpointError(f"{path} is not valid, and no other one is there to fall back on: {wanted.reason}")
        return found, [wanted, *skipped]

    def _read(self, found: Found, into: Mapping[str, Any]) -> State:
        """Every rank reads the file itself. Where one does not see rank 0's disk, the file travels."""
        size = found.files[0].size
        try:
            there = os.path.getsize(found.path) == size and os.path.exists(found.path + SUFFIX)
        except OSError:
            there = False
        if self._ranks.everywhere(there):
            return states.read(found.path, into)
        return states.read(self._ranks.send_file(found.path, size), into)


def _save(directory: Directory, name: str, state: State, haste: bool) -> Found:
    return directory.save(state["step"], state["world_size"], lambda file: states.write(state, file), name, haste)


def _failed(state: State, err: BaseException) -> CheckpointError:
    return CheckpointError(f"saving the checkpoint of step {state['step']}: {err}; those before it are as they were")


class _Background:
    """A save that goes on in a thread, of a state that nobody changes meanwhile."""

    def __init__(self, directory: Directory, name: str, state: State) -> None:
        self._error: Optional[BaseException] = None
        self._state = state
        self._thread = threading.Thread(target=self._run, args=(directory, name), name="ainexus-save")
        self._thread.start()

    def _run(self, directory: Directory, name: str) -> None:
        try:
            _save(directory, name, self._state, haste=False)  # the other cores are for training
        except BaseException as err:  # told by finish
            self._error = err

    def finish(self) -> None:
        self._thread.join()
        if isinstance(self._error, CheckpointError):
            raise self._error
        if self._error is not None:
            raise _failed(self._state, self._error)
