"""The trainer: one rank's view of the job."""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sized

import torch
import torch.distributed as dist

from .checkpoint import CheckpointError, Skipped
from .env import Env
from .failure import StackOnRequest, tell_launcher
from .logger import setup_distributed_logger
from .pace import Pace
from .progress import ProgressFile, finite, number_of
from .ranks import Ranks
from .sampler import ResumableSampler, get_distributed_sampler
from .saving import Saver
from .state import State, optional_state, places, random_state, seed_anew, set_random_state, unwrapped
from .stopping import Agreement, StopSignal


@dataclass(frozen=True)
class Position:
    """Where a run is."""

    step: int = 0  # steps done
    epoch: int = 0  # pass over the data set, from 0
    samples: int = 0  # of this pass, that all ranks together have used


@dataclass(frozen=True)
class Checkpoint:
    """What load_checkpoint found."""

    path: str
    step: int
    epoch: int
    samples: int
    world_size: int  # ranks that saved it
    extra: Dict[str, Any]
    skipped: List[Skipped] = field(default_factory=list)  # newer ones that are not valid


class DistributedTrainer:
    """One rank's view of the job. Methods that say "all ranks" are collective: every rank has to call them, in the same
    order. Alone, without a launcher, all of them work and cost nothing."""

    def __init__(
        self, backend: Optional[str] = None, init_method: Optional[str] = None, timeout_minutes: float = 30, *,
        checkpoints: Optional[str] = None, keep: int = 3, env: Optional[Env] = None,
    ) -> None:
        """`backend`: by default $NEXUS_BACKEND, else nccl where there is CUDA, else gloo. `init_method`: the launcher's
        store. `timeout_minutes`: of one collective. `checkpoints`: directory of those saved without a path, of which the newest `keep` stay; default
        $NEXUS_CHECKPOINT_PATH/<job>, or "checkpoints"."""
        self.env = env or Env.read()
        self.backend = backend or self.env.backend or ("nccl" if self._has_nccl() else "gloo")
        self.device = self._device()
        self.log = setup_distributed_logger("ainexus", rank=self.env.rank)
        self._init_method = init_method
        self._timeout = datetime.timedelta(minutes=timeout_minutes)
        self._ranks = Ranks(self.env.rank, self.env.world_size)
        self._saver = Saver(self.env, self._ranks, self.log, checkpoints, keep)
        self._progress = ProgressFile(self.env.progress_file, self.log)
        self._signal = StopSignal(self.log)
        self._stack = StackOnRequest(self.env.stack_file)
        self._agreement = Agreement(None, 1)
        self._pace = Pace(self.log)
        self._position = Position()
        self._sampler: Optional[ResumableSampler] = None
        self._resumed: Optional[Position] = None
        self._stepped = time.monotonic()
        self._initialized = self._own_group = False

    # Beginning and end

    @contextlib.contextmanager
    def distributed_context(self) -> Iterator["DistributedTrainer"]:
        """Joins the ranks and cleans up, whatever happens in between. An error is told to the launcher too. All ranks."""
        try:
            self.initialize()
            yield self
        except BaseException as error:
            tell_launcher(self.env, error)
            self.cleanup(well=False)
            raise
        self.cleanup()

    def initialize(self) -> None:
        """Joins the ranks. All ranks. A process group that is there already is used, and left as it is by cleanup."""
        if self._initialized:
            return
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            self._keep_to_share()
        if self.env.world_size > 1:
            if not dist.is_initialized():
                self._init_process_group()
                self._own_group = True
            self._ranks.join(self._timeout)
        self._agreement = Agreement(self._ranks.group, self.env.world_size)
        self._progress = ProgressFile(self.env.progress_file, self.log)
        self._initialized = True

    def _init_process_group(self) -> None:
        if self._init_method:
            dist.init_process_group(
                self.backend, init_method=self._init_method, timeout=self._timeout, rank=self.env.rank, world_size=self.env.world_size,
            )
            return
        try:
            dist.init_process_group(self.backend, timeout=self._timeout)
        except RuntimeError as err:
            if "libuv" not in str(err):
                raise
            # Builds without libuv (Debian's 2.6) refuse even the clients of another process's store, unless these say that they can
            # do without. PyTorch's own way here has no way to say so.
            dist.init_process_group(
                self.backend, timeout=self._timeout, rank=self.env.rank, world_size=self.env.world_size, store=self._store(use_libuv=False),
            )

    def _store(self, **extra: bool) -> Any:
        """The store at MASTER_ADDR and MASTER_PORT, which is the launcher's or, as without one, rank 0's."""
        serves = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and self.env.rank == 0
        store: Any = dist.TCPStore
        return store(
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), self.env.world_size, serves, self._timeout, multi_tenant=True, **extra,
        )

    def cleanup(self, well: bool = True) -> None:
        """Leaves the ranks; twice is as good as once. `well`: the run did not fail, so that the others are still there."""
        self._stack.disarm()
        self._signal.disarm(expected=self.stopping)
        self._progress.close()
        try:
            self._saver.finish()
        except CheckpointError as err:
            if well:
                raise
            self.log.warning("%s", err)
        finally:
            self._leave(well)

    def _leave(self, well: bool) -> None:
        if not self._initialized:
            return
        self._initialized = False
        self._agreement.close(well and dist.is_initialized())
        self._ranks.leave()
        if self._own_group and dist.is_initialized():
            self._own_group = False
            dist.destroy_process_group()
        self._ranks.forget()
        self._agreement.forget()

    # Facts

    @property
    def rank(self) -> int:
        """This process's place among the ranks, from 0."""
        return self.env.rank

    @property
    def local_rank(self) -> int:
        """Its place on this machine, from 0."""
        return self.env.local_rank

    @property
    def world_size(self) -> int:
        """How many ranks there are."""
        return self.env.world_size

    @property
    def is_main_process(self) -> bool:
        """Whether this is rank 0, the one that prints."""
        return self.env.rank == 0

    @property
    def position(self) -> Position:
        """Where the run is: the last step, or what load_checkpoint found."""
        return self._position

    @property
    def stopping(self) -> bool:
        """Whether the ranks have agreed to stop."""
        return self._agreement.stopped

    # Working

    def wrap_model(self, model: torch.nn.Module, **options: Any) -> torch.nn.Module:
        """The model on this rank's device, in a DistributedDataParallel, which takes the options. A single process gets
        its model back. All ranks."""
        model = model.to(self.device)
        if self.world_size == 1 or not any(p.requires_grad for p in model.parameters()):
            return model
        self._need_group()
        if self.device.type == "cuda":
            options.setdefault("device_ids", [self.device.index])
        wrapped = torch.nn.parallel.DistributedDataParallel(model, **options)
        self._pace.watch(wrapped, self.device)
        return wrapped

    def get_distributed_sampler(
        self, dataset: Sized, shuffle: bool = True, *, seed: int = 0, drop_last: bool = False
    ) -> ResumableSampler:
        """This rank's samples of a data set: shuffled, or in its order. The first one asked for goes on where the
        checkpoint was saved, before or after load_checkpoint; call its set_epoch for each epoch."""
        sampler = get_distributed_sampler(
            dataset, shuffle, seed=seed, drop_last=drop_last, rank=self.rank, world_size=self.world_size)
        if self._sampler is None:
            self._sampler = sampler
            self._resume_sampler()
        return sampler

    def barrier(self) -> None:
        """Returns when all ranks have called it. All ranks."""
        self._need_group()
        with self._pace.apart():
            self._ranks.barrier()

    def reduce_metrics(self, metrics: Mapping[str, Any], op: str = "mean") -> Dict[str, float]:
        """Reduces each metric over all ranks, by mean, sum, max or min. All ranks, with the same names."""
        self._need_group()
        with self._pace.apart():
            return self._ranks.reduce({str(k): float(v) for k, v in metrics.items()}, op)

    def step(
        self, loss: Any = None, *, epoch: Optional[int] = None, samples: int = 0, total_steps: int = 0,
        metrics: Optional[Mapping[str, Any]] = None,
    ) -> bool:
        """Says that a training step is done, and returns whether to stop: then save and return. All ranks, equally often;
        all get the same answer at the same step, although SIGTERM reaches them at different times.

        `samples`: how many this rank has just used, which lets an epoch be resumed in its middle. `total_steps`: of the
        whole run, where that is known. The first step takes over SIGTERM, which ends the process before that.
        """
        self._need_group()
        self._signal.arm()
        self._stack.arm()
        at = self._position
        if epoch is None or epoch == at.epoch:
            used = at.samples
        else:
            used = 0
        self._position = Position(at.step + 1, at.epoch if epoch is None else epoch, used + samples * self.world_size)
        now = time.monotonic()
        lasted, self._stepped = now - self._stepped, now
        before = self._agreement.stopped
        with self._pace.apart(brief=True):
            stop = self._agreement.ask(self._signal.asked, lasted)
        if stop and not before:
            self.log.info("told to stop: all ranks do at step %d", self._position.step)
        self._progress.put(self._describe(loss, total_steps, metrics), self._pace.step())
        return stop

    def request_stop(self) -> None:
        """Asks all ranks to stop, as SIGTERM does."""
        self._signal.asked = True

    # Saving

    def save_checkpoint(
        self, model: torch.nn.Module, optimizer: Optional[Any], epoch: int, filepath: Optional[str] = None, *,
        background: bool = False, **extra: Any,
    ) -> str:
        """Saves model, optimizer, position, random numbers and whatever else is given, and returns where. All ranks: the
        first one writes, all hear of an error, and checkpoints that were there stay.

        Without a path it goes into the directory of checkpoints, named after the step, and old ones are removed.
        `background`: returns as soon as a copy is made; one save at a time is under way. After step() said stop, the
        checkpoint is acknowledged to the launcher, so that the job may be ended, and is never in the background.
        """
        self._need_group()
        with self._pace.apart():
            samples = self._position.samples if epoch == self._position.epoch else 0
            rng = self._ranks.gather(random_state())
            state: State = {
                "model": unwrapped(model).state_dict(), "optimizer": optional_state(optimizer), "epoch": int(epoch),
                "step": self._position.step, "samples": samples, "world_size": self.world_size, "rng": rng, "extra": extra,
            }
            return self._saver.save(state, filepath, background and not self.stopping, self.stopping)

    def load_checkpoint(
        self, model: torch.nn.Module, optimizer: Optional[Any] = None, filepath: Optional[str] = None, *, strict: bool = True
    ) -> Optional[Checkpoint]:
        """Loads a checkpoint, the newest without a path, and returns what it says; None if there is none. All ranks.

        One that is truncated or damaged is passed over for the newest valid one before it, with a warning: without a path
        any in the directory, with one those that are named alike (epoch_4.pt for epoch_5.pt).
        """
        self._need_group()
        with self._pace.apart():
            loaded = self._saver.load(filepath, places(unwrapped(model)))
        if loaded is None:
            return None
        state, path, skipped = loaded
        unwrapped(model).load_state_dict(state["model"], strict=strict)
        if optimizer is not None and state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"])
        if state["world_size"] == self.world_size:
            set_random_state(state["rng"][self.rank])
        else:
            self.log.warning("saved by %d ranks, loaded by %d: random numbers begin anew", state["world_size"], self.world_size)
            seed_anew(state["step"], self.rank)
        self._position = self._resumed = Position(state["step"], state["epoch"], state["samples"])
        self._resume_sampler()
        self.log.info("goes on from step %d, saved at %s", state["step"], path)
        return Checkpoint(path, state["step"], state["epoch"], state["samples"], state["world_size"], state["extra"], skipped)

    def wait_for_save(self) -> None:
        """Waits for a save in the background, and fails as it did. All ranks."""
        with self._pace.apart():
            self._saver.wait()

    # What only this class calls

    def _has_nccl(self) -> bool:
        return bool(torch.cuda.is_available() and torch.cuda.device_count() > 0 and dist.is_nccl_available())

    def _device(self) -> torch.device:
        """Worker i of W owns the i-th part of the GPUs that all workers of this machine see."""
        if self.backend != "nccl" and not (self.world_size == 1 and torch.cuda.is_available()):
            return torch.device("cpu")
        return torch.device("cuda", self.local_rank * torch.cuda.device_count() // self.env.local_world_size)

    def _keep_to_share(self) -> None:
        """Keeps PyTorch's allocator below the job's share of the GPU."""
        if self.env.gpu_memory_mib:
            total = torch.cuda.get_device_properties(self.device).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, (self.env.gpu_memory_mib << 20) / total), self.device)

    def _need_group(self) -> None:
        if not self._initialized:
            if self.world_size > 1:
                raise RuntimeError("the ranks have not met: use `with trainer.distributed_context():`, or initialize()")
            self.initialize()

    def _resume_sampler(self) -> None:
        if self._sampler is not None and self._resumed is not None:
            self._sampler.resume(self._resumed.epoch, self._resumed.samples)

    def _describe(self, loss: Any, total_steps: int, metrics: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
        said: Dict[str, Any] = {"rank": self.rank, "step": self._position.step, "epoch": self._position.epoch, "time": time.time()}
        if total_steps:
            said["total_steps"] = total_steps
        number = number_of(loss)
        if number is not None:
            said["loss"] = number
        if metrics:
            said["metrics"] = finite(metrics)
        return said
