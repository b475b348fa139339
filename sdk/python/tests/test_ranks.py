"""Real processes over gloo."""

import json

TOGETHER = """
    import math, torch
    from ainexus import DistributedTrainer
    trainer = DistributedTrainer()
    with trainer.distributed_context():
        rank, size = trainer.rank, trainer.world_size
        assert trainer.backend == "gloo" and trainer.device.type == "cpu"
        torch.manual_seed(rank)
        model = trainer.wrap_model(torch.nn.Linear(3, 2))
        assert isinstance(model, torch.nn.parallel.DistributedDataParallel)
        first = next(model.parameters()).detach().clone()
        everywhere = [torch.zeros_like(first) for _ in range(size)]
        torch.distributed.all_gather(everywhere, first)
        assert all(torch.equal(one, first) for one in everywhere)

        metrics = {"b": rank + 1.0, "a": 10.0 * rank}
        assert trainer.reduce_metrics(metrics) == {"b": 1.5, "a": 5.0}
        assert trainer.reduce_metrics(metrics, op="sum") == {"b": 3.0, "a": 10.0}
        assert trainer.reduce_metrics(metrics, op="max") == {"b": 2.0, "a": 10.0}
        assert trainer.reduce_metrics(metrics, op="min") == {"b": 1.0, "a": 0.0}
        assert trainer.reduce_metrics({}) == {}
        try:
            trainer.reduce_metrics({"mine%d" % rank: 1.0})
        except ValueError as error:
            assert "rank 1 reduces other metrics" in str(error), error
        else:
            raise AssertionError("different metrics were added up")
        trainer.barrier()
        print("main" if trainer.is_main_process else "other", "done")
    assert not torch.distributed.is_initialized()
    trainer.cleanup()
"""


def test_two_ranks_work_together(world):
    w = world(TOGETHER, 2)
    assert w.end() == "main done\n"
    assert w.text(1) == "other done\n"


FAILS = """
    import torch
    from ainexus import DistributedTrainer
    trainer = DistributedTrainer()
    with trainer.distributed_context():
        if trainer.rank == 1:
            raise KeyError("the third file")
        trainer.barrier()
"""


def test_an_error_on_one_rank_ends_all_and_is_told(world, tmp_path):
    w = world(FAILS, 2)
    w.end(codes=[1, 1])
    first, second = (json.loads((tmp_path / f"error{rank}.json").read_text())["message"] for rank in (0, 1))
    assert second["message"] == "KeyError: 'the third file'"
    assert 'raise KeyError("the third file")' in second["extraInfo"]["py_callstack"]
    assert float(second["extraInfo"]["timestamp"]) < float(first["extraInfo"]["timestamp"])


LONELY = """
    import datetime, torch
    from ainexus import DistributedTrainer
    trainer = DistributedTrainer(timeout_minutes=0.05)
    with trainer.distributed_context():
        if trainer.is_main_process:
            trainer.save_checkpoint(torch.nn.Linear(1, 1), None, 0)
        else:
            torch.distributed.barrier()
"""


def test_saving_on_rank_0_alone_is_told_and_does_not_hang(world):
    w = world(LONELY, 2)
    w.end(codes=[1, 1])
    assert "not all ranks came to save_checkpoint, which all have to call, not rank 0 alone" in w.text(0)
