"""What the launcher told this process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Env:
    """This process's place among the others, and where the launcher wants to be told things."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0  # on this machine: which device to use
    local_world_size: int = 1
    job: str = ""  # id of the nexus job; empty outside of nexus
    attempt: int = 0  # of the job, from 1; 0 outside of nexus
    attempt_name: str = ""  # NEXUS_ATTEMPT as it is: "<job id>/<attempt>"
    round: int = 0  # how often the launcher has restarted the ranks of this attempt
    progress_file: str = ""
    ack_file: str = ""
    stack_file: str = ""
    error_file: str = ""
    checkpoint_path: str = ""  # checkpoint.path of the job file, absolute
    backend: str = ""  # of collectives, as the cluster's administrator wants it; empty: whatever works
    gpu_memory_mib: int = 0  # the job's share of a GPU; 0: all of it

    @property
    def epoch(self) -> Tuple[int, int]:
        """The fencing token: attempt, then round."""
        return self.attempt, self.round

    @staticmethod
    def read(environ: Optional[Mapping[str, str]] = None) -> "Env":
        """Reads torchrun's and nexus's variables. What makes no sense is told at once, in one ValueError."""
        return _Reader(os.environ if environ is None else environ).env()


class _Reader:
    """Collects what is wrong instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.wrong: List[str] = []

    def env(self) -> Env:
        rank, world = self.number("RANK", 0), self.number("WORLD_SIZE", 1)
        if rank is None and world is not None and world > 1:
            self.wrong.append(f"WORLD_SIZE={world} is set, RANK is not")
        if rank is not None and world is None:
            self.wrong.append("RANK is set, WORLD_SIZE is not")
        if rank is None or world is None:
            rank, world = 0, 1
        if rank >= world:
            self.wrong.append(f"RANK={rank} is not below WORLD_SIZE={world}")
        if world > 1 and not self.environ.get("MASTER_ADDR"):
            self.wrong.append("MASTER_ADDR is not set: where is rank 0?")
        local_world = self.number("LOCAL_WORLD_SIZE", 1) or world
        local_rank = self.number("LOCAL_RANK", 0)
        if local_rank is None:
            local_rank = rank % local_world
        if local_rank >= local_world:
            self.wrong.append(f"LOCAL_RANK={local_rank} is not below the {local_world} ranks of this machine")
        job, attempt, name = self.attempt()
        round_ = self.number("NEXUS_ROUND", 0)
        if round_ is None:
            round_ = self.number("TORCHELASTIC_RESTART_COUNT", 0) or 0
        get = self.environ.get
        env = Env(
            rank=rank, world_size=world, local_rank=local_rank, local_world_size=local_world,
            job=job, attempt=attempt, attempt_name=name, round=round_,
            progress_file=get("NEXUS_PROGRESS_FILE", ""), ack_file=get("NEXUS_ACK_FILE", ""),
            stack_file=get("NEXUS_STACK_FILE", ""), error_file=get("TORCHELASTIC_ERROR_FILE", ""),
            checkpoint_path=get("NEXUS_CHECKPOINT_PATH", ""), backend=get("NEXUS_BACKEND", ""), gpu_memory_mib=self.number("NEXUS_GPU_MEMORY_MIB", 1) or 0,
        )
        if self.wrong:
            raise ValueError("the launcher's environment makes no sense: " + "; ".join(self.wrong))
        return env

    def number(self, name: str, least: int) -> Optional[int]:
        text = self.environ.get(name, "")
        if not text:
            return None
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            self.wrong.append(f"{name}={text!r} is not a number from {least} up")
            return None
        return value

    def attempt(self) -> Tuple[str, int, str]:
        name = self.environ.get("NEXUS_ATTEMPT", "")
        if not name:
            return "", 0, ""
        job, _, number = name.rpartition("/")
        if not job or not number.isdigit() or int(number) < 1:
            self.wrong.append(f"NEXUS_ATTEMPT={name!r} is not <job id>/<attempt>")
            return "", 0, ""
        return job, int(number), name
