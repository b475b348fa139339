"""Telling the launcher why this rank failed, and where it is."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from typing import Any, Optional

from .env import Env


def tell_launcher(env: Env, error: BaseException) -> None:
    """Leaves an error where launchers look for the root cause, in torchelastic's format. There is nobody left to tell if
    that fails: the error itself goes on."""
    if not env.error_file or isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return
    # torchrun wants whole seconds. Our agent takes fractions, which tell who failed first.
    now = f"{time.time():.6f}" if env.attempt_name else str(int(time.time()))
    said = {"message": {
        "message": f"{type(error).__name__}: {error}",
        "extraInfo": {"py_callstack": traceback.format_exc(), "timestamp": now},
    }}
    with contextlib.suppress(OSError):
        with open(env.error_file, "w", encoding="utf-8") as file:
            json.dump(said, file)


class StackOnRequest:
    """Has SIGUSR1 write the stacks of all threads, to the launcher's file or to standard error, also while a thread is
    deep in C. It is how a rank that hangs is asked where it is. The file begins with who listens: to others the signal
    would be deadly."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Optional[Any] = None
        self._armed = False

    def arm(self) -> None:
        """Takes over SIGUSR1, unless the script uses it."""
        if self._armed or signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL:
            return
        out: Any = sys.__stderr__
        if self._path:
            with contextlib.suppress(OSError):
                fd = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
                out = self._file = os.fdopen(fd, "a")
        with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
            faulthandler.register(signal.SIGUSR1, file=out, all_threads=True)
            self._armed = True
            if self._file is not None:
                self._file.write(f"pid {os.getpid()}\n")
                self._file.flush()

    def disarm(self) -> None:
        """Gives SIGUSR1 back."""
        if self._armed:
            faulthandler.unregister(signal.SIGUSR1)
            self._armed = False
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(0)  # nobody listens any more
            self._file.close()
            self._file = None
