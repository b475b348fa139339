"""A directory of checkpoints, without PyTorch."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest

from ainexus.checkpoint import SUFFIX, CheckpointError, Directory, FencedError, Writer, family
from world import SRC


def save(directory, step, name="", text=None):
    data = (text or f"step {step} ").encode() * 1000
    return directory.save(step, 4, lambda file: file.write(data), name)


def opened(path, job="", attempt=0, round_=0, keep=3):
    directory = Directory(str(path), Writer(job, attempt, round_), keep)
    directory.claim()
    return directory


def names(path):
    return sorted(os.listdir(path))


def test_the_format_is_the_one_that_nexus_reads(tmp_path):
    found = save(opened(tmp_path / "deep" / "ckpt", "job1", 2, 1), 120)
    assert Path(found.path).name == "step-000000000120-1"
    data = Path(found.path).read_bytes()
    assert json.loads(Path(found.path + SUFFIX).read_text()) == {
        "epoch": {"attempt": 2, "round": 1}, "step": 120, "world_size": 4, "claim": 1,
        "files": [{"name": "step-000000000120-1", "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                   "crc32": {"piece": 16 << 20, "sums": [f"{zlib.crc32(data):08x}"]}}],
    }
    assert json.loads((tmp_path / "deep/ckpt/EPOCH").read_text()) == {"attempt": 2, "round": 1, "job": "job1", "claim": 1}


def without_pieces(manifest):
    """As checkpoints were before they had sums of pieces, and as other programs write them."""
    said = json.loads(manifest.read_text())
    for file in said["files"]:
        del file["crc32"]
    manifest.write_text(json.dumps(said))


def flip_last_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


HARM = {
    "last bit flipped": flip_last_bit,
    "bit flipped, only SHA-256 there": lambda p: (flip_last_bit(p), without_pieces(Path(f"{p}{SUFFIX}"))),
    "too few sums": lambda p: Path(f"{p}{SUFFIX}").write_text(
        Path(f"{p}{SUFFIX}").read_text().replace('"sums":["', '"sums":[],"was":["')),
    "pieces without end": lambda p: Path(f"{p}{SUFFIX}").write_text(Path(f"{p}{SUFFIX}").read_text().replace('"piece":16777216', '"piece":1e999')),
    "truncated": lambda p: os.truncate(p, 100),
    "empty": lambda p: os.truncate(p, 0),
    "gone": os.remove,
    "bit flipped": lambda p: p.write_bytes(b"S" + p.read_bytes()[1:]),
    "manifest is no JSON": lambda p: Path(f"{p}{SUFFIX}").write_text('{"epoch":'),
    "manifest is a list": lambda p: Path(f"{p}{SUFFIX}").write_text("[]"),
    "manifest lists nothing": lambda p: Path(f"{p}{SUFFIX}").write_text(
        '{"step": 9, "epoch": {"attempt": 0, "round": 0}, "claim": 1, "files": []}'),
    "manifest leaves the directory": lambda p: Path(f"{p}{SUFFIX}").write_text(
        '{"step": 9, "epoch": {"attempt": 0, "round": 0}, "claim": 1, "files": [{"name": "../x", "size": 1, "sha256": ""}]}'),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_one_is_passed_over_and_told(tmp_path, harm):
    directory = opened(tmp_path)
    save(directory, 1)
    newest = Path(save(directory, 2).path)
    HARM[harm](newest)
    found, skipped = directory.latest()
    assert found is not None and found.step == 1
    assert [one.path for one in skipped] == [str(newest)]


def test_one_without_sums_of_pieces_is_compared_by_its_sha256(tmp_path):
    directory = opened(tmp_path)
    newest = save(directory, 2).path
    without_pieces(Path(newest + SUFFIX))
    found, skipped = directory.latest()
    assert found is not None and (found.step, found.files[0].crc32, skipped) == (2, (), [])


def test_data_without_a_manifest_is_no_checkpoint(tmp_path):
    directory = opened(tmp_path)
    os.remove(save(directory, 5).path + SUFFIX)
    assert directory.latest() == (None, [])
    assert Directory(str(tmp_path / "nowhere")).latest() == (None, [])


def test_old_ones_are_removed_and_what_is_not_ours_stays(tmp_path):
    directory = opened(tmp_path, keep=2)
    for name in (".step-000000000007-1.ab.tmp", "step-000000000008-1", "notes.txt", "step-by-step.md"):
        (tmp_path / name).write_text("x")
    save(directory, 9, "best.pt")
    for step in range(1, 6):
        save(directory, step)
    assert names(tmp_path) == [
        ".lock", "EPOCH", "best.pt", "best.pt.nexus.json", "notes.txt", "step-000000000004-1", "step-000000000004-1.nexus.json",
        "step-000000000005-1", "step-000000000005-1.nexus.json", "step-by-step.md"]


def test_the_same_step_twice_gets_two_names(tmp_path):
    directory = opened(tmp_path)
    assert save(directory, 3).path != (second := save(directory, 3).path)
    found, _ = directory.latest()
    assert found is not None and found.path == second


def test_one_that_is_saved_over_is_kept_until_the_next_is_there(tmp_path):
    directory = opened(tmp_path)
    for step in (1, 2, 3):
        save(directory, step, "model.pt")
    assert names(tmp_path) == [
        ".lock", "EPOCH", "model.pt", "model.pt.nexus.json", "model.pt.previous", "model.pt.previous.nexus.json"]
    found, _ = directory.latest()
    assert found is not None and found.step == 3
    Path(found.path).write_text("damaged")
    found, skipped = directory.latest()
    assert found is not None and (found.step, Path(found.path).name) == (2, "model.pt.previous") and len(skipped) == 1


def test_an_older_epoch_of_the_job_is_refused(tmp_path):
    older, newer = opened(tmp_path, "job1", 1, 0), opened(tmp_path, "job1", 1, 1)
    save(newer, 7)
    with pytest.raises(FencedError, match=r"belong to epoch 1\.1 of job 'job1' now, this is epoch 1\.0 of job 'job1'"):
        save(older, 8)
    with pytest.raises(FencedError):
        opened(tmp_path, "job1", 1, 0)
    assert [n for n in names(tmp_path) if n.startswith("step-") and not n.endswith(SUFFIX)] == ["step-000000000007-2"]
    assert not [n for n in names(tmp_path) if n.endswith(".tmp")]
    save(opened(tmp_path, "job2", 1, 0), 1)  # another job takes over
    with pytest.raises(FencedError):
        save(newer, 9)
    found, _ = newer.latest()
    assert found is not None and found.step == 1, "the newest is of the newest claim, not of the highest step"


def test_reading_another_jobs_checkpoints_does_not_stop_it(tmp_path):
    trainer = opened(tmp_path, "job1", 1)
    save(trainer, 1)
    Directory(str(tmp_path), Writer("eval", 1, 0)).claim_if_ours()
    save(trainer, 2)
    Directory(str(tmp_path), Writer("job1", 2, 0)).claim_if_ours()
    with pytest.raises(FencedError):
        save(trainer, 3)


# A save of which the write fails half way, as on a full disk: SIGXFSZ ignored makes it an error.
FULL = """
    import resource, signal, sys
    sys.path.insert(0, {src!r})
    from ainexus.checkpoint import Directory
    directory = Directory({path!r})
    directory.claim()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    def write(file):
        for _ in range(100):
            file.write(bytes(10_000))
    try:
        directory.save(2, 1, write, {name!r})
    except OSError as error:
        print("refused:", error.strerror)
"""


@pytest.mark.parametrize("name", ["", "model.pt"])
def test_a_full_disk_leaves_the_old_one(tmp_path, name):
    save(opened(tmp_path), 1, name)
    before = names(tmp_path)
    script = textwrap.dedent(FULL).format(src=SRC, path=str(tmp_path), name=name)
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == "refused: File too large\n"
    assert names(tmp_path) == before
    found, skipped = Directory(str(tmp_path)).latest()
    assert found is not None and found.step == 1 and not skipped


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_really_full_disk_leaves_the_old_one(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is forbidden here")
    try:
        directory = opened(disk)
        save(directory, 1, "model.pt")
        with pytest.raises(OSError, match="No space left"):
            directory.save(2, 1, lambda file: [file.write(bytes(10_000)) for _ in range(100)], "model.pt")
        found, skipped = directory.latest()
        assert found is not None and found.step == 1 and not skipped
        assert save(directory, 3).step == 3, "what was half written is gone, so that there is space again"
    finally:
        subprocess.run(["umount", disk], check=True)


# Saves for ever, to be killed; every save ends with a line.
ENDLESS = """
    import sys
    sys.path.insert(0, {src!r})
    from ainexus.checkpoint import Directory
    directory = Directory({path!r})
    directory.claim()
    for step in range(1, 1_000_000):
        found = directory.save(step, 1, lambda file: [file.write(b"%8d" % step * 4000) for _ in range(8)], {name!r})
        print(step, flush=True)
"""


@pytest.mark.parametrize("name", ["", "model.pt"])
def test_a_killed_save_leaves_a_valid_one(tmp_path, name):
    path = tmp_path / "ckpt"
    script = textwrap.dedent(ENDLESS).format(src=SRC, path=str(path), name=name)
    saved = 0
    for kill_after in (1, 3, 8):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(kill_after):
            saved = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)  # in the middle of the next one
        process.wait()
        rest = process.stdout.read().split()
        saved = int(rest[-1]) if rest and rest[-1].isdigit() else saved
        found, skipped = Directory(str(path)).latest()
        assert found is not None and found.step >= saved - 1, (found, skipped)
        assert Path(found.path).read_bytes() == b"%8d" % found.step * 32000


def test_checkpoints_named_alike():
    alike = family("epoch_5.pt")
    assert alike("epoch_12.pt") and alike("epoch_5.pt.previous")
    assert not alike("best.pt") and not alike("epoch_5.pth")


def test_a_directory_that_nobody_claimed_is_not_written_to(tmp_path):
    with pytest.raises(CheckpointError, match="was not claimed"):
        save(Directory(str(tmp_path)), 1)
