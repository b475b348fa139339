"""Progress: a small file per rank, by which the launcher shows how far the job is and finds out who hangs."""

from __future__ import annotations

import logging
import math
import statistics
import threading
import time
from typing import Any, Dict, List, Mapping, Optional

from .files import replace_json

EVERY = 0.2  # seconds between two writes, at least


class ProgressFile:
    """Replaces the file at most five times a second; the last word is always written, also if nothing comes after it."""

    def __init__(self, path: str, log: logging.Logger) -> None:
        self._path = path
        self._log = log
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._pending: Optional[Dict[str, Any]] = None
        self._own: List[float] = []  # since the last write, at most as many as say something
        self._last = -math.inf
        self._wrong = False
        self._closed = False
        self._thread: Optional[threading.Thread] = None

    def put(self, said: Dict[str, Any], own: Optional[float] = None) -> None:
        """Reports, now or soon. `own`: seconds that this rank worked before the collectives of the step."""
        if not self._path:
            return
        with self._lock:
            self._pending = said
            if own is not None and len(self._own) < 1000:
                self._own.append(own)
            if time.monotonic() - self._last >= EVERY:
                self._write()
                return
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._follow, daemon=True, name="ainexus-progress")
                self._thread.start()
        self._wake.set()

    def _follow(self) -> None:
        """Writes what is pending when its time has come."""
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            time.sleep(EVERY)
            with self._lock:
                if not self._closed:
                    self._write()

    def _write(self) -> None:
        """Replaces the file. Progress is a hint: a failure is told once and does not stop the training."""
        if self._pending is None:
            return
        said, self._pending, self._last = self._pending, None, time.monotonic()
        if self._own:  # the median: a pause of one step says nothing about the rank
            said["own_seconds"] = round(statistics.median(self._own), 6)
            self._own.clear()
        try:
            replace_json(self._path, said, durable=False)
        except OSError as err:
            if not self._wrong:
                self._wrong = True
                self._log.warning("progress cannot be reported to %s: %s", self._path, err)

    def close(self) -> None:
        """Writes what is pending and ends the thread soon."""
        with self._lock:
            self._closed = True
            self._write()
        self._wake.set()


def finite(metrics: Mapping[str, Any]) -> Dict[str, float]:
    """The numbers among the metrics: JSON has neither NaN nor infinity."""
    numbers = {}
    for name, value in metrics.items():
        number = number_of(value)
        if number is not None:
            numbers[str(name)] = number
    return numbers


def number_of(value: Any) -> Optional[float]:
    """A finite number, or None. A tensor on a device is none: asking it would stall the device at each step."""
    device = getattr(value, "device", None)
    if value is None or device is not None and getattr(device, "type", "cpu") != "cpu":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if math.isfinite(number) else None
