"""PyTorch's part in the rows about the store: `serve` is its own server, `ask` its own client.

Both talk by lines: serve prints its port and ends with its input; ask takes "PORT OPERATION COUNT" and answers with seconds.
"""
import datetime
import sys
import time

import torch.distributed as dist

EXTRA = {"use_libuv": False} if "use_libuv" in (dist.TCPStore.__init__.__doc__ or "") else {}
PATIENCE = datetime.timedelta(seconds=60)


def store(port, server):
    return dist.TCPStore("127.0.0.1", port, None, server, PATIENCE, wait_for_workers=False, **EXTRA)


if sys.argv[1] == "serve":
    own = store(0, True)
    print(own.port, flush=True)
    sys.stdin.read()
    sys.exit()

clients = {}
value = "v" * 64
for line in sys.stdin:
    port, operation, count = line.split()
    client = clients.setdefault(port, None) or store(int(port), False)
    clients[port] = client
    client.set("key", value)
    client.add("counter", 1)
    call = {
        "set": lambda: client.set("key", value),
        "get": lambda: client.get("key"),
        "add": lambda: client.add("counter", 1),
    }[operation]
    begin = time.perf_counter()
    for _ in range(int(count)):
        call()
    client.num_keys()  # answered, so every set is done
    print(time.perf_counter() - begin, flush=True)
