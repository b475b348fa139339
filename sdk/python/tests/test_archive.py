"""Files of tensors: PyTorch reads what is written here, and what it writes is read here."""

from __future__ import annotations

import hashlib
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import pytest
import torch

from ainexus import archive, state
from ainexus.crc import PIECE, differs
from ainexus.digest import HashingWriter


def model() -> "OrderedDict[str, torch.Tensor]":
    torch.manual_seed(1)
    shared = torch.arange(100.0)
    return OrderedDict(
        weight=torch.randn(3, 4), half=torch.ones(7, dtype=torch.bfloat16), mask=torch.tensor([True, False]), empty=torch.empty(0, 3),
        scalar=torch.tensor(3), part=shared[10:20], turned=shared[15:30].view(3, 5).t(), complex=torch.ones(3, dtype=torch.complex64),
        large=torch.arange(5 << 20, dtype=torch.float32), parameter=torch.nn.Parameter(torch.ones(2)),
    )


def written(path: Path, value: Dict[str, Any], haste: bool = True) -> str:
    with open(path, "w+b", buffering=0) as file:
        out = HashingWriter(file.fileno(), haste)
        state.write(value, out)
        out.finish()
    return str(path)


def same(a: Any, b: Any) -> bool:
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.mark.parametrize("haste", [True, False])
def test_pytorch_reads_it(tmp_path: Path, haste: bool) -> None:
    path = written(tmp_path / "file", {"model": model(), "step": 3, "more": [torch.ones(5, dtype=torch.uint8), 1.5]}, haste)
    assert zipfile.ZipFile(path).testzip() is None
    loaded = torch.load(path, weights_only=True)
    assert same(loaded["model"], model())
    assert loaded["model"]["part"].data_ptr() + 20 == loaded["model"]["turned"].data_ptr(), "views share their memory, as they did"
    if torch.__version__ >= "2.1":
        assert same(torch.load(path, weights_only=True, mmap=True)["model"], model())


def test_what_pytorch_wrote_is_read(tmp_path: Path) -> None:
    plain = OrderedDict((name, tensor.detach()) for name, tensor in model().items())
    torch.save({"model": plain, "tree": "{}", "tensors": [torch.ones(2)]}, tmp_path / "file")
    raw = archive.read(str(tmp_path / "file"), {})
    assert same(raw["model"], model()) and torch.equal(raw["tensors"][0], torch.ones(2))


def test_it_is_read_into_what_has_the_same_shape_and_kind(tmp_path: Path) -> None:
    path = written(tmp_path / "file", {"model": model(), "step": 3})
    into: Dict[str, torch.Tensor] = {name: torch.zeros_like(tensor) for name, tensor in model().items()}
    into["mask"], into["scalar"] = torch.zeros(3, dtype=torch.bool), torch.zeros((), dtype=torch.int32)
    into["parameter"] = into["weight"].view(-1)[:2]
    got = state.read(path, into)
    assert same(got["model"], model()) and got["step"] == 3
    for name in ("weight", "half", "complex", "large"):
        assert got["model"][name].data_ptr() == into[name].data_ptr()
    for name in ("mask", "scalar", "part", "parameter"):
        assert got["model"][name].data_ptr() != into[name].data_ptr()
    assert not into["mask"].any() and into["scalar"] == 0


def test_what_only_pytorch_knows_it_writes_and_reads(tmp_path: Path) -> None:
    path = written(tmp_path / "file", {"model": {"sparse": torch.eye(3).to_sparse()}, "step": 3})
    assert torch.equal(state.read(path, {})["model"]["sparse"].to_dense(), torch.eye(3))


def test_what_is_conjugate_or_negative_stays_so(tmp_path: Path) -> None:
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    path = written(tmp_path / "file", {"model": {"conjugate": numbers.conj()}, "step": 3, "negative": numbers.clone().conj().imag})
    got = state.read(path, {"conjugate": torch.zeros(2, dtype=torch.complex64)})
    assert got["model"]["conjugate"].tolist() == [1 - 2j, 3 + 4j] and got["negative"].tolist() == [-2, 4]


@pytest.mark.parametrize("haste", [True, False])
def test_what_other_processes_train_on_is_saved_whole(tmp_path: Path, haste: bool) -> None:
    shared = torch.zeros(1 << 20).share_memory_()

    class Meanwhile(HashingWriter):
        def write_kept(self, data: memoryview, crc: int) -> None:
            shared.add_(1)
            super().write_kept(data, crc)
            shared.add_(1)

    with open(tmp_path / "file", "w+b", buffering=0) as file:
        out = Meanwhile(file.fileno(), haste)
        state.write({"model": {"weight": shared}, "step": 3}, out)
        shared.add_(1)
        size, digest, sums = out.finish()
        assert differs(file.fileno(), size, PIECE, sums) is None
    assert hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest() == digest
    saved = state.read(str(tmp_path / "file"), {})["model"]["weight"]
    assert (saved == saved[0]).all() and saved[0] < shared[0]


class Migrating(torch.nn.Linear):
    """A module whose weights were half as large before version 2, in files without a version too."""

    _version = 2

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *more: Any) -> None:
        if local_metadata.get("version", 1) < 2:
            state_dict[prefix + "weight"] = 2 * state_dict[prefix + "weight"]
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *more)


@pytest.mark.parametrize("by_pytorch", [True, False])
def test_modules_learn_which_version_of_them_was_saved(tmp_path: Path, by_pytorch: bool) -> None:
    saved, loaded = torch.nn.Sequential(Migrating(2, 2)), torch.nn.Sequential(Migrating(2, 2))
    if by_pytorch:
        path = str(tmp_path / "file")
        torch.save({"model": saved.state_dict(), "tree": '{"dict": []}', "tensors": []}, path)
    else:
        path = written(tmp_path / "file", {"model": saved.state_dict(), "step": 3})
    assert torch.load(path, weights_only=True)["model"]._metadata == saved.state_dict()._metadata
    loaded.load_state_dict(state.read(path, loaded.state_dict())["model"])
    assert torch.equal(loaded[0].weight, saved[0].weight)


class Harm:
    def __reduce__(self) -> Any:
        return print, ("this runs",)


def test_no_code_of_a_file_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": Harm(), "tree": "{}", "tensors": []}, tmp_path / "file")
    with pytest.raises(archive.Unknown):
        archive.read(str(tmp_path / "file"), {})
    with pytest.raises(state.CheckpointError, match="not a checkpoint of ours"):
        state.read(str(tmp_path / "file"), {})
    assert capsys.readouterr().out == ""
