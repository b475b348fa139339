"""Files of tensors: PyTorch reads what is written here, and what it writes is read here."""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import pytest
import torch

from ainexus import archive, state
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
