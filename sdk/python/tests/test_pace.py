"""Who keeps the others waiting is told by how long each rank works before it waits."""

import json
import statistics

WORKER = """
    import contextlib, json, time, torch
    from ainexus import DistributedTrainer
    trainer = DistributedTrainer()
    with trainer.distributed_context():
        owns = []
        put = trainer._progress.put
        def spy(said, own=None):
            owns.append(own)
            put(said, own)
        trainer._progress.put = spy
        model = trainer.wrap_model(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 1)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(30):
            time.sleep(0.06 if trainer.rank == 1 else 0.01)  # a slow loader
            with model.no_sync() if step == 5 else contextlib.nullcontext():
                model(torch.ones(4, 8)).sum().backward()
            optimizer.step()
            if step == 10:
                trainer.barrier()
            if step == 15:
                trainer.save_checkpoint(model, optimizer, 0)
            trainer.step()
        with torch.no_grad():
            model(torch.ones(4, 8))
        print(json.dumps(owns))
"""


def test_each_rank_tells_its_own_time_although_all_steps_are_equally_long(world):
    w = world(WORKER, 2)
    w.end()
    owns = [json.loads(w.text(rank).strip().splitlines()[-1]) for rank in range(2)]
    quick, slow = (statistics.median(o for o in own if o is not None) for own in owns)
    assert slow > 0.055 and quick < 0.6 * slow, (quick, slow)
    for own in owns:
        assert own[0] is None and None not in own[1:], own  # where the first step began is not known
    for rank in range(2):
        told = json.loads(w.progress(rank).read_text())
        assert told["own_seconds"] > 0.055 if rank == 1 else told["own_seconds"] < 0.055, told


def test_a_gpu_is_asked_only_for_what_it_has_come_by():
    from ainexus.pace import _DevicePace

    class Event:
        """A mark in an imagined stream."""

        now, reached = 0.0, 0.0

        def record(self):
            self.at = Event.now

        def query(self):
            return self.at <= Event.reached

        def elapsed_time(self, end):
            return (end.at - self.at) * 1000

    pace = _DevicePace(Event)
    pace.waiting_begins()  # nothing is known before the first waiting has ended
    pace.waiting_ended()
    Event.now = 2.0
    pace.waiting_begins()
    assert pace.step() is None
    Event.now = 5.0
    pace.waiting_ended()
    Event.reached = 2.0
    assert pace.step() == 2.0
    Event.now = 6.0
    pace.forget()
    pace.waiting_begins()
    assert pace.step() is None
