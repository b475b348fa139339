"""Samplers against PyTorch's own, and resumed in the middle."""

import itertools
import random

import pytest
from torch.utils.data import SequentialSampler
from torch.utils.data.distributed import DistributedSampler

from ainexus import ResumableSampler, get_distributed_sampler


@pytest.mark.parametrize("shuffle,drop", itertools.product([False, True], repeat=2))
def test_the_same_as_pytorch(shuffle, drop):
    for n, world in itertools.product([1, 3, 7, 10, 64], [1, 2, 3, 4, 8]):
        for rank in range(world):
            ours = ResumableSampler(range(n), world, rank, shuffle, seed=5, drop_last=drop)
            theirs = DistributedSampler(range(n), world, rank, shuffle, seed=5, drop_last=drop)
            if drop and n < world:  # theirs asserts
                assert list(ours) == []
                continue
            for epoch in (0, 3):
                ours.set_epoch(epoch)
                theirs.set_epoch(epoch)
                assert list(ours) == list(theirs), (n, world, rank, epoch)
                assert len(ours) == len(theirs)


def test_sequential_without_shuffling():
    sampler = get_distributed_sampler(range(10), shuffle=False, rank=0, world_size=1)
    assert list(sampler) == list(SequentialSampler(range(10)))


def test_resumed_in_the_middle_nothing_is_lost_or_seen_twice():
    seed = 20261125
    choose = random.Random(seed)
    for _ in range(200):
        n, before, after = choose.randint(1, 200), choose.randint(1, 8), choose.randint(1, 8)
        whole = list(ResumableSampler(range(n), 1, 0, True, seed=3))
        steps = choose.randint(0, n // before)
        used = steps * before
        first = []
        for rank in range(before):
            first += list(ResumableSampler(range(n), before, rank, True, seed=3))[:steps]
        assert sorted(first) == sorted(whole[:used]), f"seed {seed}"
        rest = []
        for rank in range(after):
            sampler = ResumableSampler(range(n), after, rank, True, seed=3)
            sampler.resume(0, used)
            length, mine = len(sampler), list(sampler)
            assert len(mine) == length
            rest += mine
        assert set(rest) >= set(whole[used:]), f"seed {seed}"
        assert 0 <= len(rest) - (n - used) < after, f"seed {seed}: more than what makes the ranks' shares equal"


def test_only_the_resumed_epoch_begins_in_the_middle():
    sampler = ResumableSampler(range(6), 2, 1, shuffle=False)
    sampler.resume(4, 4)
    sampler.set_epoch(4)
    assert sampler.state_dict() == {"epoch": 4, "used": 4}
    assert list(sampler) == [5]
    assert list(sampler) == [1, 3, 5], "the next epoch is whole, although nobody said so"
    sampler.resume(4, 4)
    sampler.set_epoch(5)
    assert list(sampler) == [1, 3, 5]
    sampler.resume(4, 99)
    assert list(sampler) == [], "an epoch that was used up"
