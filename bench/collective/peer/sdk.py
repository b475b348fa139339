"""The checkpoint rows of the Python package: its saves and loads and those of torch, by turns, in one process.

Arguments: the package's directory, a directory, rounds, tensors, bytes of each. A line of JSON per round, in seconds: save, torch.save
with fsync, load with the checksum compared, torch.load, stall of a save in the background, how long that save took altogether.
"""

import json
import logging
import os
import sys
import time

sys.path.insert(0, sys.argv[1])

import torch

from ainexus import DistributedTrainer


class Model(torch.nn.Module):
    def __init__(self, count, size):
        super().__init__()
        for i in range(count):
            self.register_buffer(f"t{i}", torch.arange(size // 4, dtype=torch.float32) % 1000 + i)


def main():
    base, rounds, count, size = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    model = Model(count, size)
    trainer = DistributedTrainer(checkpoints=os.path.join(base, "ainexus"), keep=1)
    logging.getLogger("ainexus").setLevel(logging.WARNING)
    with trainer.distributed_context():
        for number in range(rounds + 1):
            trainer.step()
            begin = time.perf_counter()
            trainer.save_checkpoint(model, None, 0)
            ours_saved = time.perf_counter() - begin
            path = os.path.join(base, f"torch-{number}.pt")
            begin = time.perf_counter()
            with open(path, "wb") as file:
                torch.save(model.state_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            theirs_saved = time.perf_counter() - begin
            begin = time.perf_counter()
            if trainer.load_checkpoint(model) is None:
                raise SystemExit("the checkpoint is not there")
            ours_loaded = time.perf_counter() - begin
            begin = time.perf_counter()
            model.load_state_dict(torch.load(path))
            theirs_loaded = time.perf_counter() - begin
            os.remove(path)
            trainer.step()
            begin = time.perf_counter()
            trainer.save_checkpoint(model, None, 0, background=True)
            stalled = time.perf_counter() - begin
            trainer.wait_for_save()
            behind = time.perf_counter() - begin
            if number:  # the first one takes memory that the others use again
                print(json.dumps([ours_saved, theirs_saved, ours_loaded, theirs_loaded, stalled, behind]), flush=True)


main()
