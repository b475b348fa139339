"""One conversation with a TCPStore server, to be held with two servers and compared line by line.

    conformance.py serve             PyTorch's own server; prints its port, ends with its standard input
    conformance.py ask HOST PORT     holds the conversation; prints a line "name: answer" for each thing asked

The first part is PyTorch's own client. The second, "wire", sends bytes as a client of the installed release
would, so that also what Python does not offer is compared. Nothing that is printed depends on time.
"""
import datetime
import socket
import struct
import sys
import threading

import torch
import torch.distributed as dist

PATIENCE = datetime.timedelta(seconds=30)
SHORT = datetime.timedelta(milliseconds=300)
MODERN = tuple(int(n) for n in torch.__version__.split(".")[:2]) >= (2, 2)
# Only servers use libuv, yet builds without it (Debian's) refuse clients too unless told so.
EXTRA = {"use_libuv": False} if "use_libuv" in (dist.TCPStore.__init__.__doc__ or "") else {}


def serve():
    store = dist.TCPStore("127.0.0.1", 0, None, True, PATIENCE, wait_for_workers=False, **EXTRA)
    print(f"port {store.port}", flush=True)
    sys.stdin.read()


def client(world=None, wait=False):
    return dist.TCPStore(HOST, PORT, world, False, PATIENCE, wait_for_workers=wait, **EXTRA)


def hasty():
    store = client()
    store.set_timeout(SHORT)
    return store


def done(store):
    """Returns when the server has done what this client asked. A set has no answer, and what another client asks after
    it on another connection is not bound to be done after it; with PyTorch's servers it depends on who connected first."""
    store.num_keys()


def show(name, answer):
    print(f"{name}: {answer!r}", flush=True)


def outcome(call, *args):
    """What a call gives, or how it fails, in words that are the same in all releases."""
    try:
        answer = call(*args)
        return "done" if answer is None else answer
    except Exception as error:  # its type differs between releases
        text = f"{type(error).__name__} {error}".lower()
        return "timeout" if "time" in text and "out" in text else "refused"


def section(text):
    print(f"# {text}", flush=True)


def values():
    section("values")
    a, b = client(), client()
    a.set("key", "value")
    show("get", b.get("key"))
    a.set("key", "another")
    show("get overwritten", [a.get("key"), b.get("key")])
    a.set("bytes", "\x00\xff\n\u20ac")
    show("bytes", b.get("bytes"))
    a.set("empty", "")
    show("empty", b.get("empty"))
    for key in ["", "/", "//", "a b", "\n", "\x00", "\u20ac" * 100, "k" * 8191]:
        a.set(key, f"of {len(key)}")
        show(f"odd key {key[:6]!r}", b.get(key))
    show("num_keys", a.num_keys())
    for size in [1, 1439, 1440, 1441, 65536, 1 << 20, 8 << 20]:
        a.set("large", "x" * size)
        done(a)
        got = b.get("large")
        show(f"large {size}", [len(got), got.count(b"x")])
    show("num_keys after", a.num_keys())


def counters():
    section("counters")
    a, b = client(), client()
    show("add", [a.add("counter", 5), b.add("counter", -7), a.add("counter", 0)])
    show("a counter is text", b.get("counter"))
    a.set("seeded", "41")
    done(a)
    show("add to text", [b.add("seeded", 1), b.get("seeded")])
    show("add large", [a.add("wide", 1 << 62), b.add("wide", -(1 << 62) - 5), b.get("wide")])
    show("compare_set of a counter", b.compare_set("counter", "-2", "7"))
    show("add after it", a.add("counter", 1))


def comparing():
    section("compare_set")
    a, b = client(), client()
    show("absent, something expected", b.compare_set("cas", "expected", "new"))
    show("was not stored", b.num_keys() - a.num_keys())
    show("absent, nothing expected", b.compare_set("cas", "", "first"))
    show("wrong", a.compare_set("cas", "wrong", "second"))
    show("nothing expected of what is there", a.compare_set("cas", "", "second"))
    show("right", a.compare_set("cas", "first", "second"))
    show("to nothing", a.compare_set("cas", "second", ""))
    show("from nothing", a.compare_set("cas", "", "third"))
    show("stored", b.get("cas"))


def deleting():
    section("delete_key")
    a, b = client(), client()
    before = a.num_keys()
    a.set("doomed", "x")
    done(a)
    show("delete", [b.delete_key("doomed"), b.delete_key("doomed"), a.delete_key("never there")])
    show("num_keys unchanged", a.num_keys() - before)
    a.add("doomed", 3)
    show("a deleted counter begins anew", [a.delete_key("doomed"), a.add("doomed", 3)])


def later(call, *args):
    """Calls in a while: the other side is waiting by then, most likely; if not, the answers are the same."""
    timer = threading.Timer(0.1, call, args)
    timer.start()
    return timer


def waiting():
    section("waiting")
    a, b = client(), client()
    t = later(b.set, "late", "came")
    show("get waits", a.get("late"))
    t.join()
    t = later(b.add, "late counter", 4)
    show("add wakes", outcome(a.wait, ["late counter"], PATIENCE))
    t.join()
    t = later(b.compare_set, "late cas", "", "x")
    show("compare_set wakes", outcome(client().wait, ["late cas"], datetime.timedelta(seconds=2)))
    t.join()

    def one_by_one():
        for key in ["w1", "w2", "w3"]:
            b.set(key, "x")

    t = later(one_by_one)
    show("wait for several", outcome(a.wait, ["w3", "w1", "w2", "late"], PATIENCE))
    t.join()
    show("wait for what is there", outcome(a.wait, ["w1", "w1"], PATIENCE))
    show("wait for nothing", outcome(a.wait, [], PATIENCE))
    show("wait times out", outcome(client().wait, ["never"], SHORT))
    show("wait times out for one of two", outcome(client().wait, ["w1", "never"], SHORT))
    show("get times out", outcome(hasty().get, "never"))
    c = client()
    c.set("gone", "x")
    c.delete_key("gone")  # answered, so the set before is done too
    show("wait for what was deleted", outcome(client().wait, ["gone"], SHORT))
    show("others do not notice", [a.add("after", 1), b.get("after")])
    del c
    show("data outlives its client", a.get("w1"))


def after_timeout():
    section("after a timeout")
    a, b = client(), client()
    show("timeout", outcome(a.wait, ["not yet"], SHORT))
    b.set("not yet", "now")
    if MODERN:  # an old client reads the late answer as the next one's: its own server confuses it
        show("the same client", [a.get("not yet"), a.add("another", 1)])
    show("a new client", client().get("not yet"))


def prefixes():
    section("PrefixStore")
    a = client()
    scoped = dist.PrefixStore("round/1", client())
    nested = dist.PrefixStore("inner", dist.PrefixStore("round/1", client()))
    empty = dist.PrefixStore("", client())
    scoped.set("key", "scoped")
    nested.set("key", "nested")
    empty.set("key", "empty")
    show("outside", [a.get("round/1/key"), a.get("round/1/inner/key"), a.get("/key")])
    show("inside", [scoped.get("key"), nested.get("key"), scoped.get("inner/key")])
    show("add", [scoped.add("n", 2), nested.add("n", 3), scoped.add("n", 1)])
    show("compare_set", scoped.compare_set("key", "scoped", "changed"))
    show("delete_key", [scoped.delete_key("key"), scoped.delete_key("key"), nested.get("key")])
    show("wait", outcome(scoped.wait, ["n"], PATIENCE))
    show("wait times out", outcome(dist.PrefixStore("p", client()).wait, ["n"], SHORT))


def arriving():
    section("arriving")
    a = client()
    before = a.num_keys()
    c = [client(world=3, wait=True) for _ in range(3)]  # each counts itself in, under a key without a slash
    show("one key more", a.num_keys() - before)
    del c
    client(world=3, wait=True)
    show("and no other for the fourth", a.num_keys() - before)


def newer():
    section("what newer releases offer")
    a, b = client(), client()
    if hasattr(a, "append"):
        a.append("log", "ab")
        a.append("log", "")
        a.append("log", "cd")
        done(a)
        show("append", b.get("log"))
        t = later(b.append, "late log", "x")
        show("append wakes", a.get("late log"))
        t.join()
    if hasattr(a, "multi_get"):
        a.multi_set(["m1", "m2"], ["1", "2"])
        show("multi", b.multi_get(["m2", "m1", "m2"]))
        t = later(b.multi_set, ["m3", "m4"], ["3", "4"])
        show("multi_get waits", a.multi_get(["m1", "m3", "m4"]))
        t.join()
        show("multi_get times out", outcome(hasty().multi_get, ["m1", "never"]))
        show("multi of nothing", outcome(a.multi_get, []))
    if hasattr(a, "check"):
        show("check", [a.check(["m1", "m2"]), a.check(["m1", "none"]), a.check([]), a.check(["m1", "m1"])])
        scoped = dist.PrefixStore("p", client())
        scoped.set("key", "x")
        show("check scoped", [scoped.check(["key"]), scoped.check(["none"]), a.check(["p/key"])])
    if hasattr(a, "queue_push"):
        a.queue_push("queue", "first")
        a.queue_push("queue", "second")
        done(a)
        show("queue", [b.queue_len("queue"), b.queue_pop("queue"), b.queue_pop("queue"), b.queue_len("queue")])
    if hasattr(a, "list_keys"):
        show("list_keys", sorted(a.list_keys()))


def crowd(n=256):
    """So many ranks at once: each counts itself in, leaves its address and waits for all others."""
    section("a crowd")
    sums, failed = [], []
    keys = [f"address {i}" for i in range(n)]

    def rank(i):
        try:
            store = client()
            store.add("crowd", 1)
            store.set(keys[i], f"of {i}")
            store.wait(keys, datetime.timedelta(seconds=120))
            got = store.get(keys[(i + 1) % n])
            if got != f"of {(i + 1) % n}".encode():
                failed.append((i, got))
            sums.append(store.add("crowd", 0))
        except Exception as error:
            failed.append((i, repr(error)))

    threads = [threading.Thread(target=rank, args=[i]) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    show("ranks that saw all", [len(sums), set(sums), failed[:3]])


# The wire: docs of no release, but what every release sends. Lengths and counts are 64 bits, little-endian.

CODES = {name: i for i, name in enumerate(
    ["validate", "set", "compare_set", "get", "add", "check", "wait", "num_keys", "delete", "append",
     "multi_get", "multi_set", "cancel_wait", "ping"])} if MODERN else {
    "set": 0, "compare_set": 1, "get": 2, "add": 3, "check": 4, "wait": 5, "num_keys": 6, "watch": 7, "delete": 8}


def u64(n):
    return struct.pack("<Q", n & (1 << 64) - 1)


def s(text):
    data = text if isinstance(text, bytes) else text.encode()
    return u64(len(data)) + data


class Wire:
    def __init__(self):
        self.conn = socket.create_connection((HOST, PORT))
        self.conn.settimeout(20)
        if MODERN:
            self.conn.sendall(b"\x00" + struct.pack("<I", 0x3C85F7CE))
        else:
            self.silent = socket.create_connection((HOST, PORT))

    def send(self, op, body=b""):
        self.conn.sendall(bytes([CODES[op]]) + body)

    def take(self, n):
        data = b""
        while len(data) < n:
            more = self.conn.recv(n - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def int(self):
        return struct.unpack("<q", self.take(8))[0]

    def text(self):
        return self.take(self.int())

    def byte(self):
        return self.take(1)[0]

    def silence(self):
        """Whether nothing comes for a while."""
        self.conn.settimeout(0.3)
        try:
            return f"byte {self.take(1)[0]}"
        except socket.timeout:
            return "silence"
        finally:
            self.conn.settimeout(20)


def answers(*calls):
    got = []
    for call in calls:
        try:
            answer = call()
            if answer is not None:
                got.append(answer)
        except (ConnectionError, OSError):
            got.append("closed")
            break
    return got


def wire():
    section("wire")
    w, other = Wire(), Wire()
    w.send("set", s(b"/\x00\xfe\xff") + s(b"\xff\x00"))
    w.send("get", s(b"/\x00\xfe\xff"))
    show("a key that is no text", w.text())
    w.send("set", s("no slash") + s("v"))
    w.send("check", u64(2) + s("no slash") + s(b"/\x00\xfe\xff"))
    show("check ready", w.byte())
    w.send("check", u64(2) + s("no slash") + s("absent"))
    show("check not ready", w.byte())
    w.send("check", u64(0))
    show("check nothing", w.byte())
    w.send("wait", u64(0))
    show("wait for nothing", w.byte())
    w.send("wait", u64(3) + s("wa") + s("wb") + s("wa"))
    other.send("set", s("wb") + s(""))
    show("one of two", w.silence())
    other.send("set", s("wa") + s(""))
    show("both, one named twice", [w.byte(), w.silence()])
    w.send("compare_set", s("wire cas") + s("expected") + s("new"))
    show("compare_set lies", w.text())
    w.send("check", u64(1) + s("wire cas"))
    show("and stores nothing", w.byte())
    w.send("add", s("wire n") + u64(-9))
    w.send("get", s("wire n"))
    show("a negative counter", [w.int(), w.text()])
    w.send("delete", s("wire n"))
    w.send("delete", s("wire n"))
    show("delete twice", [w.int(), w.int()])
    w.send("wait", u64(1) + s("wire d"))
    other.send("delete", s("wire d"))
    other.int()
    show("delete wakes nobody", w.silence())
    other.send("set", s("wire d") + s("x"))
    show("then it comes", w.byte())
    body = bytes([CODES["set"]]) + s("split") + s("v" * 40) + bytes([CODES["get"]]) + s("split")
    for at in range(len(body)):
        w.conn.sendall(body[at:at + 1])
    show("byte by byte", w.text())
    w.conn.sendall(b"".join(bytes([CODES["add"]]) + s("pipe") + u64(1) for _ in range(500)))
    show("many at once", sum(w.int() for _ in range(500)))
    if MODERN:
        w.send("append", s("wire log") + s("ab"))
        w.send("append", s("wire log") + s("c"))
        w.send("multi_get", u64(3) + s("wire log") + s("split") + s("wire log"))
        show("multi_get", [w.text(), len(w.text()), w.text()])
        w.send("multi_set", u64(2) + s("ms1") + s("1") + s("ms2") + s("2"))
        w.send("multi_get", u64(2) + s("ms2") + s("ms1"))
        show("multi_set", [w.text(), w.text()])
        w.send("wait", u64(1) + s("wire never"))
        w.send("cancel_wait")
        show("cancel_wait", [w.byte(), w.silence()])
        other.send("set", s("wire never") + s("x"))
        show("a cancelled wait is forgotten", w.silence())
        w.send("cancel_wait")
        show("cancel nothing", w.byte())
        w.send("ping", struct.pack("<I", 0xDEADBEEF))
        show("ping", w.take(4))

    def fresh(*calls):
        w = Wire()
        return answers(*(lambda call=call: call(w) for call in calls))

    # From here on servers may close the connection, so each has one of its own.
    show("get of a missing key", fresh(lambda w: w.send("get", s("absent")), Wire.text))
    if MODERN:
        show("multi_get, one missing", fresh(
            lambda w: w.send("multi_get", u64(2) + s("split") + s("absent")), lambda w: len(w.text()), Wire.text))
    show("add to words", fresh(
        lambda w: w.send("set", s("words") + s("apples")), lambda w: w.send("add", s("words") + u64(1)), Wire.int))
    show("add to words after a number", fresh(
        lambda w: w.send("set", s("words") + s(" 41 apples")), lambda w: w.send("add", s("words") + u64(1)), Wire.int))
    show("an unknown request", fresh(lambda w: w.conn.sendall(b"\x63"), Wire.byte))
    show("a key of 8192 bytes", fresh(
        lambda w: w.send("set", s("k" * 8192) + s("v")), lambda w: w.send("get", s("k" * 8192)), Wire.text))
    show("a key of 8193 bytes", fresh(
        lambda w: w.send("set", s("k" * 8193) + s("v")), lambda w: w.send("get", s("k" * 8193)), Wire.text))
    show("a value of 8 MiB and one byte", fresh(
        lambda w: w.send("set", s("too large") + s("v" * ((8 << 20) + 1))), lambda w: w.send("add", s("alive") + u64(1)), Wire.int))
    browser = socket.create_connection((HOST, PORT))
    browser.settimeout(20)
    browser.sendall(b"GET / HTTP/1.1\r\nHost: store\r\n\r\n")
    show("a browser", answers(lambda: browser.recv(1) or "closed"))
    other.send("num_keys")
    show("others go on", other.int() > 0)


if sys.argv[1] == "serve":
    serve()
else:
    HOST, PORT = sys.argv[2], int(sys.argv[3])
    for part in [values, counters, comparing, deleting, waiting, after_timeout, prefixes, arriving, newer, crowd, wire]:
        part()
