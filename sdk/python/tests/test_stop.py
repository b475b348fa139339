"""Told to stop at different times, all ranks save the same step, and their data loaders live on."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from ainexus.checkpoint import Directory

# Trains until it is stopped, or to the step that it is given; on resuming says from where.
TRAIN = """
    import sys, time, torch
    from torch.utils.data import DataLoader
    from ainexus import DistributedTrainer

    class Slow(torch.utils.data.Dataset):
        def __len__(self): return 100_000
        def __getitem__(self, i): return torch.full((4,), float(i % 7))

    last, pause, workers = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    trainer = DistributedTrainer()
    with trainer.distributed_context():
        model = trainer.wrap_model(torch.nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        sampler = trainer.get_distributed_sampler(Slow())
        loader = DataLoader(Slow(), batch_size=8, sampler=sampler, num_workers=workers)
        start = trainer.load_checkpoint(model, optimizer)
        if trainer.is_main_process:
            print("from step", start.step if start else 0, flush=True)
        sampler.set_epoch(start.epoch if start else 0)
        batches = iter(loader)
        for x in batches:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            time.sleep(pause * (1 + trainer.rank % 2))
            stop = trainer.step(loss, epoch=0, samples=len(x))
            if stop or trainer.position.step == last:
                path = trainer.save_checkpoint(model, optimizer, 0)
                assert all(worker.is_alive() for worker in getattr(batches, "_workers", [])), "a loader was killed"
                print("saved", trainer.position.step, trainer.position.samples, flush=True)
                break
    print("done", flush=True)
"""


def step_of(world, rank):
    try:
        return json.loads(world.progress(rank).read_text())["step"]
    except (OSError, ValueError):
        return 0


def stopped(world, w, gap):
    """Signals the ranks, gap seconds apart, the last one first, and returns the step that all saved."""
    w.wait_for(lambda: all(step_of(w, r) >= 3 for r in range(w.size)), "the third step")
    for rank in reversed(range(w.size)):
        w.term(rank)
        time.sleep(gap)
    w.end()
    saved = {tuple(line.split()[1:]) for r in range(w.size) for line in w.text(r).splitlines() if line.startswith("saved")}
    assert len(saved) == 1, w.everything()
    assert all(w.text(r).endswith("done\n") for r in range(w.size)), w.everything()
    (step, samples), = saved
    return int(step), int(samples)


# Steps of 2 ms are asked about while the next one runs, those of 80 ms at their own end.
@pytest.mark.parametrize("gap,pause", [(0, 0.001), (0.05, 0.04), (0.5, 0.001)])
def test_all_save_the_same_step(world, tmp_path, gap, pause):
    step, samples = stopped(world, world(TRAIN, 4, args=(0, pause, 2)), gap)
    ack = json.loads((tmp_path / "ack.json").read_text())
    found, skipped = Directory(str(tmp_path / "ckpt" / "job1")).latest()
    assert found is not None and not skipped
    assert ack == {"attempt": "job1/1", "step": step, "path": found.path} and found.step == step
    assert samples == step * 8 * 4
    if gap:
        return
    again = world(TRAIN, 2, attempt=2, args=(step + 3, 0, 0))  # with another number of ranks
    assert f"from step {step}\n" in again.end()
    assert "saved by 4 ranks, loaded by 2: random numbers begin anew" in again.text(0)


def stat(pid):
    """The state and the parent of a process."""
    state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    return state, int(parent)


def children_of(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if stat(entry.name)[1] == pid:
                    found.append(int(entry.name))
    return found


def alive(pid):
    try:
        return stat(pid)[0] != "Z"
    except OSError:
        return False


def test_loaders_end_with_their_rank(world, tmp_path):
    w = world(TRAIN, 1, args=(0, 0.001, 2))
    w.wait_for(lambda: step_of(w, 0) >= 3, "the third step")
    children = children_of(w.processes[0].pid)
    assert len(children) >= 2
    w.term(0)
    w.end()
    for child in children:
        assert not alive(child)


FENCED = """
    import torch
    from ainexus import DistributedTrainer, Env, FencedError
    trainer = DistributedTrainer()
    with trainer.distributed_context():
        model = trainer.wrap_model(torch.nn.Linear(1, 1))
        trainer.step()
        trainer.save_checkpoint(model, None, 0)
        if trainer.is_main_process:  # a later attempt begins elsewhere
            from dataclasses import replace
            later = DistributedTrainer(env=replace(trainer.env, rank=0, world_size=1, attempt=2, attempt_name="job1/2"))
            assert later.load_checkpoint(torch.nn.Linear(1, 1)).step == 1
        try:
            trainer.save_checkpoint(model, None, 0)
        except FencedError as error:
            print("fenced:", error)
"""


def test_all_ranks_hear_that_a_later_attempt_has_taken_over(world):
    w = world(FENCED, 2)
    w.end()
    for rank in (0, 1):
        assert "belong to epoch 2.0 of job 'job1' now, this is epoch 1.0" in w.text(rank)


AFAR = """
    import os, torch
    from ainexus import DistributedTrainer
    trainer = DistributedTrainer(checkpoints="ckpt" if int(os.environ["RANK"]) == 0 else "/nowhere")
    with trainer.distributed_context():
        torch.manual_seed(1)
        model = trainer.wrap_model(torch.nn.Linear(100, 100))
        trainer.step()
        trainer.save_checkpoint(model, None, 0)
        if trainer.rank == 1:  # a disk that only rank 0 sees
            os.path.getsize = lambda path: (_ for _ in ()).throw(FileNotFoundError(path))
        other = torch.nn.Linear(100, 100)
        assert trainer.load_checkpoint(other).step == 1
        assert torch.equal(other.weight, model.module.weight)
        print("same", flush=True)
"""


def test_a_rank_that_does_not_see_the_disk_is_sent_the_checkpoint(world):
    w = world(AFAR, 2)
    w.end()
    assert "same" in w.text(0) and "same" in w.text(1)
