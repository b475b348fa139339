"""The largest batch that fits, against what really runs when memory is short."""

import os
import random
import subprocess
import sys
import textwrap

import pytest
import torch

from ainexus import find_batch_size
from ainexus.batch import TOLERANCE, search, within
from world import SRC

# Models that take much memory for little arithmetic: a deep narrow network, convolutions with batch normalisation, and a
# transformer, whose attention needs scratch memory.
MODELS = """
    import resource, sys
    sys.path.insert(0, {src!r})
    import torch
    from ainexus import find_batch_size
    from ainexus.memory import _status, is_out_of_memory
    torch.set_num_threads(1)
    torch.manual_seed(1)
    models = dict(
        deep=lambda: (torch.nn.Sequential(*[layer for _ in range(8) for layer in (torch.nn.Linear(64, 64), torch.nn.Tanh())]), (64,)),
        convolutions=lambda: (torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, padding=1),
            torch.nn.BatchNorm2d(8), torch.nn.ReLU()), (1, 28, 28)),
        transformer=lambda: (torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), (64, 32)),
    )
    model, shape = models[{name!r}]()
    optimizer = torch.optim.Adam(model.parameters())

    def step(size):
        optimizer.zero_grad()
        model(torch.randn(size, *shape)).square().mean().backward()
        optimizer.step()

    def runs(size):
        try:
            for _ in range(3):
                step(size)
            return True
        except RuntimeError as error:
            assert is_out_of_memory(error), error
            return False

    step(2)
    data = _status("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (data + ({limit} << 20), resource.RLIM_INFINITY))
    found = find_batch_size(model, shape, safety=1.0, optimizer=optimizer, memory=1 << 40)
    print(found, found.tried)
    assert any(peak is None for peak in found.tried.values()), "the limit was never met"
    print("a tenth below:", runs(int(found / 1.1)), "above:", runs(int(found / 0.9) + 1))
"""


@pytest.mark.parametrize("name,limit", [("deep", 20), ("convolutions", 40), ("transformer", 40)])
def test_within_a_tenth_of_the_largest_that_runs(name, limit):
    script = textwrap.dedent(MODELS).format(src=SRC, name=name, limit=limit)
    # Else whether a size runs depends on the sizes before it: malloc keeps on its heap what was freed, and oneDNN 2 MiB of
    # code for each size of a convolution, which counts when there are 40 MiB in all.
    env = dict(os.environ, OMP_NUM_THREADS="1", MALLOC_MMAP_THRESHOLD_="65536",
               DNNL_PRIMITIVE_CACHE_CAPACITY="1", ONEDNN_PRIMITIVE_CACHE_CAPACITY="1")
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1:] == ["a tenth below: True above: False"], run.stdout


def test_a_budget_is_kept_without_running_out():
    model = torch.nn.Sequential(*[layer for _ in range(6) for layer in (torch.nn.Linear(64, 64), torch.nn.Tanh())])
    from ainexus.memory import _status

    find_batch_size(model, (64,), largest=4)  # whatever PyTorch allocates the first time
    memory = int((_status("VmRSS") + (60 << 20)) / 0.9)
    found = find_batch_size(model, (64,), safety=0.9, memory=memory)
    assert found.budget == int(0.9 * memory) and found > 100
    peaks = found.tried
    assert peaks[int(found)] is not None and peaks[int(found)] <= found.budget
    assert all(peak is not None for peak in peaks.values()), "it ran out of memory that it was not to touch"
    assert 2_000 < found.per_sample < 20_000


def test_nothing_is_left_of_the_trial():
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()
    model.eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    gradient = next(model.parameters()).grad.clone()
    moments = optimizer.state_dict()["state"][0]["exp_avg"].clone()
    numbers = torch.get_rng_state().clone(), random.getstate()
    find_batch_size(model, (8,), optimizer=optimizer, largest=64)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not model.training
    assert torch.equal(next(model.parameters()).grad, gradient)
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], moments)
    assert optimizer.state_dict()["state"][0]["step"] == 1
    assert torch.equal(torch.get_rng_state(), numbers[0]) and random.getstate() == numbers[1]


def test_the_largest_is_a_bound_and_none_is_an_error():
    model = torch.nn.Linear(4, 4)
    assert find_batch_size(model, (4,), largest=37) == 37
    assert find_batch_size(torch.nn.Embedding(10, 4), (5,), dtype=torch.long, largest=8) == 8
    assert find_batch_size(torch.nn.Bilinear(3, 4, 5), [(3,), (4,)], largest=8) == 8
    with pytest.raises(ValueError, match="not even a batch of 1 fits into 100 bytes"):
        find_batch_size(model, (4,), memory=125)
    with pytest.raises(ValueError, match="a safety of 1.5"):
        find_batch_size(model, (4,), 1.5)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        find_batch_size(model, (5,))


def test_the_search_finds_it_whatever_memory_does():
    seed = 20261125
    choose = random.Random(seed)
    for _ in range(500):
        fixed, each, budget = choose.randint(0, 10**6), choose.uniform(1, 10**4), choose.randint(10**6, 10**9)
        jump = choose.choice([0, choose.randint(0, budget // 2)])  # a workspace that larger sizes need
        at, real = choose.randint(2, 10**5), choose.choice([budget * 10, choose.randint(10**5, budget)])

        def peak(n):
            return int(fixed + n * each + (jump if n > at else 0))

        def measure(n):
            return None if peak(n) > real else peak(n)

        largest = 1 << 20
        found, tried = search(measure, budget, largest)
        fits = [n for n in (found,) if n and peak(n) <= min(budget, real)]
        assert fits or found == 0, f"seed {seed}"
        too_many = int(found * (1 + TOLERANCE)) + 1
        assert too_many > largest or peak(too_many) > min(budget, real), (f"seed {seed}", found, tried)
        assert len(tried) <= 40

        careful, limit, _ = within(measure, budget, 0.8, largest)
        met = any(p is None for p in tried.values())
        assert limit == (min(budget, int(0.8 * peak(found))) if met and found else budget), f"seed {seed}"
        assert careful == 0 or peak(careful) <= limit, f"seed {seed}"
        assert int(careful * (1 + TOLERANCE)) + 1 > largest or peak(int(careful * (1 + TOLERANCE)) + 1) > min(limit, real), f"seed {seed}"


RANKS = """
    import torch
    from ainexus import DistributedTrainer, find_batch_size
    trainer = DistributedTrainer()
    with trainer.distributed_context():
        model = trainer.wrap_model(torch.nn.Linear(16, 16))
        print(int(find_batch_size(model, (16,), largest=100 if trainer.rank else 60)))
"""


def test_all_ranks_get_the_smallest(world):
    w = world(RANKS, 2)
    assert w.end() == "60\n" and w.text(1) == "60\n"
