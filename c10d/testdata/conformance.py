"""PyTorch's own TCPStore client against a server that is running: conformance.py HOST PORT.

Checks what the installed release can do and prints each call with its result, so that the caller can compare.
Calls that a release does not have print nothing.
"""
import datetime
import sys
import threading

import torch.distributed as dist

HOST, PORT = sys.argv[1], int(sys.argv[2])


def client():
    patience = datetime.timedelta(seconds=20)
    try:  # only servers use libuv, yet builds without it refuse clients too unless told so
        return dist.TCPStore(HOST, PORT, None, False, timeout=patience, use_libuv=False)
    except TypeError:  # an old release
        return dist.TCPStore(HOST, PORT, None, False, timeout=patience)


def show(name, result):
    print(f"{name} {result!r}", flush=True)


def outcome(call, *args):
    try:
        call(*args)
        return "done"
    except Exception as error:  # its type differs between releases
        return "refused" if "imeout" in str(error) or "imeout" in type(error).__name__ else repr(error)


a, b = client(), client()
a.set("key", "value")
show("get", b.get("key"))
a.set("bytes", b"\x00\xff\n".decode("latin-1"))
show("bytes", b.get("bytes").decode("utf-8").encode("latin-1"))
a.set("empty", "")
show("empty", b.get("empty"))
show("add", [a.add("counter", 5), b.add("counter", -7), a.get("counter")])
show("num_keys", a.num_keys())
show("delete", [a.delete_key("key"), a.delete_key("key")])
show("compare_set absent", b.compare_set("cas", "expected", "new"))
show("compare_set first", b.compare_set("cas", "", "first"))
show("compare_set wrong", a.compare_set("cas", "wrong", "second"))
show("compare_set right", a.compare_set("cas", "first", "second"))

late = threading.Timer(0.05, lambda: b.set("late", "came"))
late.start()
show("waited get", a.get("late"))
late.join()
a.wait(["late", "cas"], datetime.timedelta(seconds=5))
show("wait timeout", outcome(a.wait, ["never"], datetime.timedelta(milliseconds=200)))
a.set("never", "now")
show("after the timeout", [a.get("never"), b.get("never")])

large = "x" * (8 << 20)
a.set("large", large)
show("large", len(b.get("large")))

scoped = dist.PrefixStore("round/1", client())
scoped.set("key", "scoped")
show("prefix", b.get("round/1/key"))

if hasattr(a, "append"):
    a.append("log", "ab")
    a.append("log", "cd")
    show("append", b.get("log"))
if hasattr(a, "multi_get"):
    a.multi_set(["m1", "m2"], ["1", "2"])
    show("multi", b.multi_get(["m2", "m1"]))
if hasattr(a, "check"):
    show("check", [a.check(["m1", "m2"]), a.check(["m1", "none"])])
if hasattr(a, "queue_push"):
    a.queue_push("queue", "first")
    a.queue_push("queue", "second")
    show("queue", [b.queue_len("queue"), b.queue_pop("queue"), b.queue_pop("queue"), b.queue_len("queue")])
if hasattr(a, "list_keys"):
    show("list_keys", sorted(a.list_keys())[:3])
