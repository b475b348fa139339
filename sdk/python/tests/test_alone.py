"""One process, without any launcher."""

import json
import logging
import random
from pathlib import Path

import pytest
import torch

from ainexus import CheckpointError, DistributedTrainer, Env, setup_distributed_logger
from ainexus.stopping import StopSignal


def test_everything_works_alone(tmp_path):
    trainer = DistributedTrainer(env=Env(), checkpoints=str(tmp_path))
    with trainer.distributed_context():
        model = torch.nn.Linear(2, 1)
        assert trainer.wrap_model(model) is model
        trainer.barrier()
        assert trainer.reduce_metrics({"loss": 3.0}) == {"loss": 3.0}
        assert trainer.is_main_process and trainer.world_size == 1
        assert not trainer.step(torch.tensor(0.5), epoch=0)
        assert not torch.distributed.is_initialized()
        with pytest.raises(ValueError, match="there is no reduction 'median'"):
            trainer.reduce_metrics({}, op="median")


def test_backend_comes_from_the_cluster_unless_it_is_said():
    env = Env.read({"NEXUS_BACKEND": "mpi"})
    assert DistributedTrainer(env=env).backend == "mpi"
    assert DistributedTrainer("gloo", env=env).backend == "gloo"
    assert DistributedTrainer(env=Env.read({})).backend in ("nccl", "gloo")


def make(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def train(model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        (model(torch.randn(16, 4)) + random.random()).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("background", [False, True])
def test_a_resumed_run_is_the_same_to_the_bit(tmp_path, background):
    trainer = DistributedTrainer(env=Env(), checkpoints=str(tmp_path))
    model, optimizer = make(1)
    train(model, optimizer, 3)
    trainer.step(epoch=2, samples=48)
    path = trainer.save_checkpoint(
        model, optimizer, 2, background=background, note="x", best=(0.1, None), scale=torch.ones(2), rates=[1e-3, float("inf")])
    train(model, optimizer, 4)
    trainer.cleanup()

    other, other_optimizer = make(2)
    again = DistributedTrainer(env=Env(), checkpoints=str(tmp_path))
    sampler = again.get_distributed_sampler(range(100))
    loaded = again.load_checkpoint(other, other_optimizer)
    assert loaded is not None and (loaded.path, loaded.step, loaded.epoch, loaded.samples) == (path, 1, 2, 48)
    assert sampler.state_dict() == {"epoch": 2, "used": 48}
    assert torch.equal(loaded.extra.pop("scale"), torch.ones(2))
    assert loaded.extra == {"note": "x", "best": (0.1, None), "rates": [1e-3, float("inf")]}
    train(other, other_optimizer, 4)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    again.cleanup()


class KeepsItsHead(torch.nn.Sequential):
    """A model that leaves out a part of what it is given to load, as for fine-tuning; in one of three ways."""

    def __init__(self, how, *layers):
        super().__init__(*layers)
        self.how = how
        if how == "hook":
            self._register_load_state_dict_pre_hook(lambda given, *_: self.leave_out(given))

    @staticmethod
    def leave_out(given):
        for name in [name for name in given if name.startswith("2.")]:
            del given[name]

    def load_state_dict(self, given, strict=True):
        if self.how == "all":
            self.leave_out(given)
        return super().load_state_dict(given, strict)

    def _load_from_state_dict(self, given, *more):
        if self.how == "own":
            self.leave_out(given)
        super()._load_from_state_dict(given, *more)


@pytest.mark.parametrize("how", ["hook", "all", "own"])
def test_what_a_model_does_not_load_it_keeps(tmp_path, how):
    trainer = DistributedTrainer(env=Env(), checkpoints=str(tmp_path))
    saved, loaded = make(1)[0], KeepsItsHead(how, *make(2)[0])
    trainer.save_checkpoint(saved, None, 0)
    head = loaded[2].weight.detach().clone()
    assert trainer.load_checkpoint(loaded, strict=False) is not None
    assert torch.equal(loaded[0].weight, saved[0].weight)
    assert torch.equal(loaded[2].weight, head)
    trainer.cleanup()


def test_pytorch_reads_the_model_of_a_checkpoint(tmp_path):
    trainer = DistributedTrainer(env=Env())
    model, optimizer = make(1)
    path = trainer.save_checkpoint(model, optimizer, 0, str(tmp_path / "model.pt"))
    raw = torch.load(path, weights_only=True)
    make(3)[0].load_state_dict(raw["model"])
    assert torch.equal(raw["model"]["0.weight"], model[0].weight)


def test_what_could_not_be_loaded_is_refused_before_it_is_written(tmp_path):
    trainer = DistributedTrainer(env=Env())
    with pytest.raises(CheckpointError, match=r"cannot hold \['extra'\]\['log'\]\[0\], which is a pathlib.*\.PosixPath: it holds"):
        trainer.save_checkpoint(torch.nn.Linear(1, 1), None, 0, str(tmp_path / "m.pt"), log=[Path("x")])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_runs_code_is_refused(tmp_path):
    import hashlib

    class Evil:
        def __reduce__(self):
            return print, ("owned",)

    torch.save({"model": {}, "tree": "{}", "tensors": [Evil()]}, tmp_path / "m.pt")
    data = (tmp_path / "m.pt").read_bytes()
    (tmp_path / "m.pt.nexus.json").write_text(json.dumps({
        "epoch": {"attempt": 0, "round": 0}, "step": 1, "world_size": 1,
        "files": [{"name": "m.pt", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}]}))
    with pytest.raises(CheckpointError, match="not a checkpoint of ours"):
        DistributedTrainer(env=Env()).load_checkpoint(torch.nn.Linear(1, 1), None, str(tmp_path / "m.pt"))


def test_a_named_checkpoint_falls_back_on_one_named_alike(tmp_path, caplog):
    trainer = DistributedTrainer(env=Env())
    trainer.log.propagate = True
    model, _ = make(1)
    for epoch in (1, 2, 3):
        trainer.step(epoch=epoch)
        trainer.save_checkpoint(model, None, epoch, str(tmp_path / f"epoch_{epoch}.pt"))
    trainer.save_checkpoint(model, None, 9, str(tmp_path / "best.pt"))
    with open(tmp_path / "epoch_3.pt", "r+b") as file:
        file.truncate(1000)
    loaded = trainer.load_checkpoint(model, None, str(tmp_path / "epoch_3.pt"))
    assert loaded is not None and loaded.epoch == 2 and len(loaded.skipped) == 1
    assert "epoch_3.pt is not valid, passed over: epoch_3.pt has 1000 bytes" in caplog.text
    (tmp_path / "best.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="best.pt is not valid, and no other one is there to fall back on"):
        trainer.load_checkpoint(model, None, str(tmp_path / "best.pt"))
    assert trainer.load_checkpoint(model, None, str(tmp_path / "epoch_7.pt")) is None


def test_a_failed_save_in_the_background_is_told(tmp_path):
    trainer = DistributedTrainer(env=Env(), checkpoints=str(tmp_path / "ckpt"))
    model, _ = make(1)
    trainer.save_checkpoint(model, None, 0)
    trainer.save_checkpoint(model, None, 0, background=True)
    (tmp_path / "ckpt" / "EPOCH").write_text('{"attempt": 0, "round": 0, "claim": 99}')  # somebody else takes over
    trainer.save_checkpoint(model, None, 0, str(tmp_path / "elsewhere.pt"), background=True)
    trainer.wait_for_save()
    trainer.save_checkpoint(model, None, 0, background=True)
    with pytest.raises(CheckpointError, match="belong to epoch 0.0 now"):
        trainer.wait_for_save()
    trainer.cleanup()


def test_progress_says_what_nexus_reads(tmp_path):
    path = tmp_path / "progress.json"
    trainer = DistributedTrainer(env=Env(progress_file=str(path)))
    trainer.step(torch.tensor(0.25), epoch=3, total_steps=10, metrics={"accuracy": 0.5, "bad": float("nan")})
    said = json.loads(path.read_text())
    assert said.pop("time") > 1e9
    assert said == {"rank": 0, "step": 1, "epoch": 3, "total_steps": 10, "loss": 0.25, "metrics": {"accuracy": 0.5}}
    for _ in range(50):
        trainer.step()
    trainer.cleanup()
    assert json.loads(path.read_text())["step"] == 51, "the last word is always written"


def test_a_process_without_a_launcher_takes_sigterm_back(tmp_path):
    import signal

    before = signal.getsignal(signal.SIGTERM)
    trainer = DistributedTrainer(env=Env(), checkpoints=str(tmp_path))
    assert not trainer.step()
    signal.raise_signal(signal.SIGTERM)
    assert trainer.step() and trainer.stopping
    trainer.cleanup()
    assert signal.getsignal(signal.SIGTERM) == before
    assert not StopSignal(logging.getLogger()).asked


def test_the_environment_is_read_or_told_to_be_nonsense():
    nexus = Env.read({
        "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "NEXUS_ATTEMPT": "j-1/4",
        "NEXUS_ROUND": "2"})
    assert (nexus.rank, nexus.world_size, nexus.local_rank, nexus.job, nexus.epoch) == (3, 8, 1, "j-1", (4, 2))
    assert Env.read({}) == Env()
    with pytest.raises(ValueError, match=r"RANK=9 is not below WORLD_SIZE=2; MASTER_ADDR is not set"):
        Env.read({"RANK": "9", "WORLD_SIZE": "2"})
    with pytest.raises(ValueError, match=r"WORLD_SIZE='two' is not a number"):
        Env.read({"RANK": "0", "WORLD_SIZE": "two"})
    with pytest.raises(ValueError, match="WORLD_SIZE=2 is set, RANK is not"):
        Env.read({"WORLD_SIZE": "2"})


def test_only_rank_0_chats(capsys):
    for rank in (0, 1, 1):
        logger = setup_distributed_logger("test", rank=rank)
        logger.info("hello from %d", rank)
        logger.warning("beware of %d", rank)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "INFO [rank 0] hello from 0", "WARNING [rank 0] beware of 0", "WARNING [rank 1] beware of 1",
        "WARNING [rank 1] beware of 1"]
