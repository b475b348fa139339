"""PyTorch's file format, written from the memory of tensors and read into it, without a copy between.

What `write` writes torch.load reads (tried with 1.13 and 2.6), also with weights_only; `read` reads what it and torch.save wrote.
Both know plain tensors, in dicts, lists and text, and nothing else: a file holds no code that could run. For all else they
say Unknown, and PyTorch itself has to do it.
"""

from __future__ import annotations

import ctypes
import io
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

import torch

from .crc import join, on_all_cores
from .digest import HashingWriter

_ALIGNED = 64  # bytes; torch.load(mmap=True) uses tensors where they lie
_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16, "CharStorage": torch.int8,
    "ByteStorage": torch.uint8, "BoolStorage": torch.bool, "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
}
_NAMES = {dtype: name for name, dtype in _STORAGES.items()}
_AT_ONCE = 8 << 20  # bytes read at once


class Unknown(Exception):
    """Something that PyTorch has to write or read."""


class _Storage:
    """The memory that one tensor or several are views of."""

    def __init__(self, key: str, dtype: torch.dtype, count: int) -> None:
        self.key, self.dtype, self.count = key, dtype, count
        self.memory: Optional[torch.Tensor] = None  # flat
        self.views = 0


class _View:
    """A tensor of a file."""

    def __init__(self, storage: _Storage, offset: int, size: Tuple[int, ...], stride: Tuple[int, ...], *more: Any) -> None:
        if any(more[2:]):  # behind requires_grad and hooks: that it is conjugate or negative, and not yet made so
            raise Unknown
        self.storage, self.offset, self.size, self.stride = storage, int(offset), tuple(size), tuple(stride)
        storage.views += 1

    def __reduce__(self) -> Any:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2  # by this name it is known in files
        return rebuild, (self.storage, self.offset, self.size, self.stride, False, OrderedDict())


def write(value: Dict[str, Any], file: HashingWriter) -> None:
    """Writes a dict of tensors, lists and dicts of them, and text. Its tensors must not change before the file is finished."""
    if sys.byteorder != "little":
        raise Unknown
    storages: Dict[Tuple[Any, ...], _Storage] = {}
    pickled = io.BytesIO()
    _Pickler(pickled, protocol=2).dump(_described(value, storages))
    with zipfile.ZipFile(file.binary(), "w") as archive:
        _store(archive, file, "data.pkl", memoryview(pickled.getvalue()))
        for storage in storages.values():
            assert storage.memory is not None
            _store(archive, file, f"data/{storage.key}", memory(_still(storage.memory)))
            storage.memory = None  # what was copied goes when it is written
        archive.writestr("archive/version", "3\n")


def _still(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on the processor, where nobody changes it: other processes may train on what is shared with them (Hogwild)."""
    on_cpu = tensor.cpu()
    return on_cpu.clone() if on_cpu is tensor and tensor.is_shared() else on_cpu


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, _Storage):
            return "storage", getattr(torch, _NAMES[value.dtype]), value.key, "cpu", value.count
        return None


def _described(value: Any, storages: Dict[Tuple[Any, ...], _Storage]) -> Any:
    """The value with a _View for each tensor."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, dict):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return _versioned(kind((k, _described(v, storages)) for k, v in value.items()), value)
    if type(value) is list:
        return [_described(v, storages) for v in value]
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        raise Unknown
    tensor: torch.Tensor = value.detach()
    if tensor.layout != torch.strided or tensor.dtype not in _NAMES or tensor.device.type not in ("cpu", "cuda"):
        raise Unknown
    tensor = tensor.resolve_conj().resolve_neg()  # PyTorch 1.13 forgets that they are yet to be
    count = _storage_bytes(tensor) // tensor.element_size()
    start = tensor.data_ptr() - tensor.storage_offset() * tensor.element_size()
    # Nothing has an address of its own if it is empty.
    key = (str(tensor.device), start, tensor.dtype, count) if count else (len(storages),)
    if key not in storages:
        storages[key] = storage = _Storage(str(len(storages)), tensor.dtype, count)
        storage.memory = tensor.as_strided((count,), (1,), 0)
    return _View(storages[key], tensor.storage_offset(), tuple(tensor.size()), tensor.stride())


def _versioned(copy: Any, value: Any) -> Any:
    """A copy of a state_dict with the versions of its modules, by which they bring older ones up to date as they load them."""
    metadata = getattr(value, "_metadata", None)
    if metadata is not None:
        if not _plain(metadata):
            raise Unknown
        copy._metadata = metadata
    return copy


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) in (dict, OrderedDict) and all(_plain(k) and _plain(v) for k, v in value.items())
    return value is None or type(value) in (str, bool, int)


def _storage_bytes(tensor: torch.Tensor) -> int:
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()  # since 2.0
    return int(storage.nbytes())


def memory(tensor: torch.Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the processor, which has to live as long as they are used."""
    size = tensor.numel() * tensor.element_size()
    if size == 0:
        return memoryview(b"")
    held = (ctypes.c_char * size).from_address(tensor.data_ptr())
    setattr(held, "tensor", tensor)
    return memoryview(held).cast("B")


def _store(archive: zipfile.ZipFile, file: HashingWriter, name: str, data: memoryview) -> None:
    """One file of the archive, uncompressed and aligned."""
    entry = zipfile.ZipInfo("archive/" + name)
    entry.file_size = entry.compress_size = len(data)
    entry.header_offset, entry.CRC = file.tell(), 0
    size = entry.header_offset + len(entry.FileHeader()) + 4
    pad = -size % _ALIGNED
    padding = struct.pack("<2sH", b"FB", pad) + b"Z" * pad  # as PyTorch pads
    begin = size + pad
    parts = list(file.parts(begin, data))
    sums = [zlib.crc32(part) for part in parts]
    for part, crc in zip(parts, sums):
        entry.CRC = join(entry.CRC, crc, len(part))
    entry.extra = padding
    file.write(entry.FileHeader())
    for part, crc in zip(parts, sums):
        file.write_kept(part, crc)
    archive.filelist.append(entry)


class _Unpickler(pickle.Unpickler):
    """Finds what plain tensors are made of."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.storages: Dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _View
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise Unknown(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> _Storage:
        kind, dtype, key, _, count = identity
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise Unknown(kind)
        storage = self.storages.setdefault(key, _Storage(key, dtype, count))
        if (storage.dtype, storage.count) != (dtype, count):
            raise Unknown("a storage of two types")
        return storage


def read(path: str, into: Mapping[str, torch.Tensor]) -> Any:
    """Reads a file onto the processor. What its "model" has by a name that is in `into`, of the same kind and shape, is read into the tensor
    there; so the file should have been compared before."""
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        order = archive.read(entries["byteorder"]) if "byteorder" in entries else b"little"
        if order != b"little" or sys.byteorder != "little" or "data.pkl" not in entries:
            raise Unknown
        unpickler = _Unpickler(archive.read(entries["data.pkl"]))
        raw = unpickler.load()
        taken = set()
        for name, view in raw["model"].items() if isinstance(raw.get("model"), dict) else ():
            target = into.get(name)
            if isinstance(view, _View) and target is not None and _fits(view, target) and target.data_ptr() not in taken:
                taken.add(target.data_ptr())
                view.storage.memory = target.detach().view(-1)
        wanted = []
        for storage in unpickler.storages.values():
            if storage.memory is None:
                storage.memory = torch.empty(storage.count, dtype=storage.dtype)
            wanted.append((_begin(file.fileno(), entries[f"data/{storage.key}"], storage), memory(storage.memory)))
        _fill(file.fileno(), wanted)
    return _restored(raw)


def _fits(view: _View, target: torch.Tensor) -> bool:
    """Whether the tensor is all that is in its storage, in the file and in memory."""
    storage = view.storage
    return (type(target) in (torch.Tensor, torch.nn.Parameter) and target.layout == torch.strided and target.device.type == "cpu"
            and target.dtype == storage.dtype and target.is_contiguous() and not target.is_conj() and not target.is_neg()
            and target.stride() == view.stride and tuple(target.size()) == view.size
            and view.offset == 0 and storage.views == 1 and storage.count == target.numel() > 0
            and target.storage_offset() == 0 and _storage_bytes(target) == target.numel() * target.element_size())


def _begin(fd: int, entry: zipfile.ZipInfo, storage: _Storage) -> int:
    """Where the bytes of a storage begin in the file."""
    assert storage.memory is not None
    size = storage.count * storage.memory.element_size()
    head = os.pread(fd, 30, entry.header_offset)
    if len(head) < 30 or entry.compress_type != zipfile.ZIP_STORED or entry.file_size != size:
        raise Unknown(entry.filename)
    name, extra = struct.unpack("<HH", head[26:30])
    return int(entry.header_offset + 30 + name + extra)


def _fill(fd: int, wanted: List[Tuple[int, memoryview]]) -> None:
    """Reads bytes from where they begin into memory."""
    def parts() -> Iterator[Tuple[int, memoryview]]:
        for begin, data in wanted:
            for at in range(0, len(data), _AT_ONCE):
                yield begin + at, data[at : at + _AT_ONCE]

    def work(some: Iterable[Tuple[int, memoryview]]) -> None:
        for begin, data in some:
            while data:
                count = os.preadv(fd, [data], begin)
                if count == 0:
                    raise OSError(f"the file ends at byte {begin}")
                begin, data = begin + count, data[count:]

    on_all_cores(work, parts(), sum(len(data) for _, data in wanted) // _AT_ONCE)


def _restored(value: Any) -> Any:
    if isinstance(value, _View):
        assert value.storage.memory is not None
        return value.storage.memory.as_strided(value.size, value.stride, value.offset)
    if isinstance(value, dict):
        return _versioned(type(value)((k, _restored(v)) for k, v in value.items()), value)
    if isinstance(value, list):
        return [_restored(v) for v in value]
    return value
