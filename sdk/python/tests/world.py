"""Several real processes over gloo, as a launcher would start them."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

PYTHON = sys.executable
SRC = str(Path(__file__).resolve().parent.parent / "src")
PATIENCE = 240.0  # seconds: a loaded machine with two cores imports PyTorch slowly


class World:
    """Runs one script on several ranks, in a directory, with the files that an agent would give them."""

    def __init__(self, directory, script, size, attempt=1, round_=0, args=(), env=None):
        self.directory = Path(directory)
        self.size = size
        path = self.directory / "script.py"
        path.write_text("import sys\nsys.path.insert(0, %r)\n" % SRC + textwrap.dedent(script))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.processes = []
        for rank in range(size):
            environment = dict(
                os.environ, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), LOCAL_WORLD_SIZE=str(size),
                MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1", PYTHONUNBUFFERED="1",
                GLOO_SOCKET_IFNAME="lo", USE_LIBUV="0",  # Debian builds 2.6 without it
                NEXUS_ATTEMPT=f"job1/{attempt}", NEXUS_ROUND=str(round_),
                NEXUS_CHECKPOINT_PATH=str(self.directory / "ckpt"), NEXUS_ACK_FILE=str(self.directory / "ack.json"),
                NEXUS_PROGRESS_FILE=str(self.progress(rank)), NEXUS_STACK_FILE=str(self.directory / f"stack{rank}"),
                TORCHELASTIC_ERROR_FILE=str(self.directory / f"error{rank}.json"), **(env or {}),
            )
            out = open(self.output(rank), "wb")
            self.processes.append(subprocess.Popen(
                [PYTHON, str(path), *map(str, args)], cwd=self.directory, env=environment, stdout=out, stderr=subprocess.STDOUT))
            out.close()

    def progress(self, rank):
        return self.directory / f"progress{rank}.json"

    def output(self, rank):
        return self.directory / f"out{rank}.txt"

    def text(self, rank):
        return self.output(rank).read_text(errors="replace")

    def wait_for(self, condition, what):
        """Waits until the condition holds; a rank that ends badly meanwhile ends the wait."""
        end = time.monotonic() + PATIENCE
        while not condition():
            bad = [r for r, p in enumerate(self.processes) if p.poll() not in (None, 0)]
            if bad or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{what} never came; ended badly: {bad}\n" + self.everything())
            time.sleep(0.01)

    def end(self, codes=None):
        """Waits for all ranks, wants them to end well, or with these codes, and returns what rank 0 printed."""
        end = time.monotonic() + PATIENCE
        got = []
        for process in self.processes:
            try:
                got.append(process.wait(max(0.1, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the ranks do not end\n" + self.everything()) from None
        assert got == (codes or [0] * self.size), f"exit codes {got}\n" + self.everything()
        return self.text(0)

    def term(self, rank):
        self.processes[rank].send_signal(signal.SIGTERM)

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def everything(self):
        return "\n".join(f"--- rank {r}\n{self.text(r)}" for r in range(self.size))
