"""The files through which a training script speaks with nexus, in the standard library alone.

Progress goes to $NEXUS_PROGRESS_FILE, one small file per rank. A checkpoint P is valid only with P.nexus.json beside it,
written last; rank 0 acknowledges a stop in $NEXUS_ACK_FILE. Without these variables the script runs all the same.
"""

import glob
import hashlib
import json
import os
import time

SUFFIX = ".nexus.json"


def write(path, data, durable=True):
    """Replaces the file at path: a reader sees the old one or the new one, never a part."""
    part = f"{path}.{os.getpid()}.part"
    with open(part, "wb") as f:
        f.write(data)
        if durable:
            f.flush()
            os.fsync(f.fileno())
    os.replace(part, path)
    if durable:
        directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def progress(rank, step, total, epoch, loss, metrics):
    """Says how far this rank is; at most ten times a second, and at the end."""
    path = os.environ.get("NEXUS_PROGRESS_FILE")
    now = time.time()
    if not path or now - progress.last < 0.1 and step < total:
        return
    progress.last = now
    write(path, json.dumps({"rank": rank, "step": step, "total_steps": total, "epoch": epoch, "time": now, "loss": loss,
                            "metrics": metrics}).encode(), durable=False)


progress.last = 0.0


def job():
    """The id of the job, the number of the attempt and of the round."""
    name, _, attempt = os.environ.get("NEXUS_ATTEMPT", "by-hand/0").partition("/")
    return name, int(attempt or 0), int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def directory(path):
    """Checkpoints are kept by job, so that a new job trains afresh and a restarted one goes on."""
    return os.path.abspath(os.path.join(path, job()[0]))


def file_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def is_valid(path):
    try:
        with open(path + SUFFIX) as f:
            files = json.load(f)["files"]
        inside = os.path.dirname(path)
        return bool(files) and all(file_digest(os.path.join(inside, one["name"])) == one["sha256"] for one in files)
    except (OSError, ValueError, KeyError):
        return False


def latest(checkpoints):
    """The newest valid checkpoint, or None. Only a job that was restarted finds one of its own."""
    for manifest in sorted(glob.glob(os.path.join(glob.escape(checkpoints), "step-*" + SUFFIX)), reverse=True):
        if is_valid(manifest[: -len(SUFFIX)]):
            return manifest[: -len(SUFFIX)]
    return None


def save(checkpoints, step, world, dump, keep=2):
    """Saves atomically and returns the path. The manifest, renamed into place last, makes it valid."""
    os.makedirs(checkpoints, exist_ok=True)
    _, attempt, round_ = job()
    epoch = {"attempt": attempt, "round": round_}
    claim(checkpoints, epoch)
    path = os.path.join(checkpoints, f"step-{step:012d}-{attempt}-{round_}")
    part = path + ".part"
    with open(part, "wb") as f:
        dump(f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(part, path)
    files = [{"name": os.path.basename(path), "size": os.path.getsize(path), "sha256": file_digest(path)}]
    manifest = {"epoch": epoch, "step": step, "world_size": world, "files": files}
    write(path + SUFFIX, json.dumps(manifest).encode())
    for old in sorted(glob.glob(os.path.join(glob.escape(checkpoints), "step-*" + SUFFIX)))[:-keep]:
        os.remove(old)
        os.remove(old[: -len(SUFFIX)])
    return path


def claim(checkpoints, epoch):
    """Refuses to write over a newer attempt or round of the same job."""
    path = os.path.join(checkpoints, "EPOCH")
    try:
        with open(path) as f:
            newest = json.load(f)
    except FileNotFoundError:
        newest = {"attempt": 0, "round": 0}
    mine = (epoch["attempt"], epoch["round"])
    if mine < (newest["attempt"], newest["round"]):
        raise SystemExit(f"error: a newer attempt of this job writes to {checkpoints}")
    if mine != (newest["attempt"], newest["round"]):
        write(path, json.dumps(epoch).encode())


def acknowledge(step, path):
    """Says that the work is saved: only now may the job be ended."""
    target = os.environ.get("NEXUS_ACK_FILE")
    if target:
        write(target, json.dumps({"attempt": os.environ["NEXUS_ATTEMPT"], "step": step, "path": path}).encode())


def digest(parameters):
    """One number for all parameters, given as (name, bytes), bit by bit."""
    total = hashlib.sha256()
    for name, data in parameters:
        total.update(name.encode())
        total.update(data)
    return total.hexdigest()
