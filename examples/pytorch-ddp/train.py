"""Trains a classifier of handwritten digits with PyTorch's DistributedDataParallel.

Any launcher that sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT will do. Under nexus it also reports its
steps, saves when it is told to stop, and goes on from there.
"""

import argparse
import gzip
import os
import signal
import time

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

import nexus_files


def load(directory, name):
    """Returns images as (n, 784) floats and labels as (n,) integers."""
    with gzip.open(os.path.join(directory, name + "-images-idx3-ubyte.gz")) as f:
        pixels = torch.frombuffer(bytearray(f.read()[16:]), dtype=torch.uint8)
    with gzip.open(os.path.join(directory, name + "-labels-idx1-ubyte.gz")) as f:
        labels = torch.frombuffer(bytearray(f.read()[8:]), dtype=torch.uint8)
    images = pixels.view(-1, 28 * 28).float().div_(255).sub_(0.1307).div_(0.3081)
    return images, labels.long()


def any_rank(flag, device):
    """Says on every rank whether the flag is set on one: all stop at the same step."""
    word = torch.tensor([1.0 if flag else 0.0], device=device)
    dist.all_reduce(word, op=dist.ReduceOp.MAX)
    return word.item() > 0


def shares(count, epoch, batch, rank, world):
    """Yields this rank's part of each batch of an epoch, as indices. The order is the same on all ranks."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(epoch + 1))
    part = batch // world
    for first in range(0, count - batch + 1, batch):
        yield order[first + rank * part : first + (rank + 1) * part]


class Run:
    """One rank's training."""

    def __init__(self, args):
        self.args = args
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
        torch.manual_seed(args.seed)
        net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        self.model = DistributedDataParallel(net.to(self.device))
        self.sgd = torch.optim.SGD(self.model.parameters(), lr=args.rate, momentum=0.9)
        self.images, self.labels = load(args.data, "train")
        if args.limit:
            self.images, self.labels = self.images[: args.limit], self.labels[: args.limit]
        self.per_epoch = len(self.images) // args.batch
        self.step = 0
        self.stop = False
        self.saved = ""
        signal.signal(signal.SIGTERM, self.on_term)

    def on_term(self, *_):
        self.stop = True

    def resume(self):
        path = nexus_files.latest(self.args.checkpoints)
        if path:
            state = torch.load(path, map_location=self.device)
            self.model.module.load_state_dict(state["model"])
            self.sgd.load_state_dict(state["optimizer"])
            self.step, self.saved = state["step"], path
        if self.rank == 0:
            print(f"training on {self.per_epoch * self.args.batch} images with {self.world} ranks over {dist.get_backend()}, "
                  f"batch {self.args.batch}, {self.args.epochs} epochs, from step {self.step}", flush=True)

    def save(self):
        """Saves on rank 0; every rank returns when the checkpoint is there."""
        if self.rank == 0:
            state = {"model": self.model.module.state_dict(), "optimizer": self.sgd.state_dict(), "step": self.step}
            self.saved = nexus_files.save(self.args.checkpoints, self.step, self.world, lambda f: torch.save(state, f))
        dist.barrier()

    def train(self):
        """Trains to the end; returns False if it was told to stop before."""
        total = self.args.epochs * self.per_epoch
        while self.step < total:
            epoch, done = divmod(self.step, self.per_epoch)
            began, loss_sum, right, seen = time.time(), 0.0, 0, 0
            for i, share in enumerate(shares(len(self.images), epoch, self.args.batch, self.rank, self.world)):
                if i < done:
                    continue
                images, labels = self.images[share].to(self.device), self.labels[share].to(self.device)
                logits = self.model(images)
                loss = cross_entropy(logits, labels)
                self.sgd.zero_grad()
                loss.backward()
                for group in self.sgd.param_groups:
                    group["lr"] = self.args.rate * (total - self.step) / total
                self.sgd.step()
                self.step += 1
                loss_sum += loss.item() * len(share)
                right += (logits.argmax(1) == labels).sum().item()
                seen += len(share)
                nexus_files.progress(self.rank, self.step, total, epoch, loss.item(), {
                    "samples_per_s": seen * self.world / (time.time() - began), "accuracy": right / seen})
                if self.step % 10 == 0 and any_rank(self.stop, self.device):
                    self.save()
                    if self.rank == 0:
                        nexus_files.acknowledge(self.step, self.saved)
                    return False
            sums = torch.tensor([loss_sum, right, seen], dtype=torch.float32, device=self.device)
            dist.all_reduce(sums)
            if self.rank == 0:
                print(f"epoch {epoch + 1}/{self.args.epochs}  loss {sums[0] / sums[2]:.4f}  "
                      f"{sums[2] / (time.time() - began):.0f} samples/s  accuracy {100 * sums[1] / sums[2]:.1f} %", flush=True)
            self.save()
        return True

    def finish(self):
        """Tells how good the model is, that it is the same everywhere, and where it is kept."""
        images, labels = load(self.args.data, "t10k")
        with torch.no_grad():
            mine = slice(self.rank, None, self.world)
            logits = self.model.module(images[mine].to(self.device))
            right = (logits.argmax(1).cpu() == labels[mine]).sum().float().to(self.device)
        dist.all_reduce(right)
        state = self.model.module.state_dict()
        digest = nexus_files.digest((name, state[name].cpu().numpy().tobytes()) for name in sorted(state))
        digests = [None] * self.world
        dist.all_gather_object(digests, digest)
        if len(set(digests)) != 1:
            raise SystemExit(f"error: the ranks hold different parameters: {digests}")
        if self.rank == 0:
            print(f"test accuracy {100 * right.item() / len(labels):.1f} %")
            print(f"parameters sha256 {digest} on all {self.world} ranks")
            print(f"checkpoint {self.saved}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="directory of the four idx files")
    parser.add_argument("--checkpoints", default=nexus_files.directory("ckpt"), help="directory of the checkpoints of this job")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128, help="images per step, of all ranks together")
    parser.add_argument("--limit", type=int, default=0, help="use only so many training images; 0 is all")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate at the start; it falls to 0 in a straight line")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    gpus = torch.cuda.is_available() and torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if gpus else "gloo")
    run = Run(args)
    run.resume()
    if run.train():
        run.finish()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
