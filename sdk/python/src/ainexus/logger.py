"""A logger for programs that run many times at once."""

from __future__ import annotations

import logging
import sys
from typing import IO, Optional, Union

from .env import Env


def setup_distributed_logger(
    name: str = "ainexus", level: Union[int, str] = logging.INFO, rank: Optional[int] = None, stream: Optional[IO[str]] = None
) -> logging.Logger:
    """A logger that writes what rank 0 says from `level` on, and from the other ranks warnings and errors only, each line
    with its rank. Called again it changes the same logger. `rank` is the launcher's where it is left out."""
    rank = Env.read().rank if rank is None else rank
    logger = logging.getLogger(name)
    logger.propagate = False  # or a root logger would say everything again
    for handler in list(logger.handlers):
        if isinstance(handler, _Handler):
            logger.removeHandler(handler)
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s [rank {rank}] %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(level)
    if rank != 0:
        logger.setLevel(max(logger.level, logging.WARNING))
    return logger


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # it takes an argument from Python 3.11 on only
    """Ours, to be told from those that a script adds."""
