"""What a checkpoint holds, and how PyTorch writes it.

The file is one that `torch.load(path, weights_only=True)` reads, in any release from 1.13 on: {"model": its state_dict,
"tree": text, "tensors": [...]}. All but the model is a tree, kept as JSON, with its tensors beside it: 1.13 cannot read a
plain number of an optimizer's state with weights_only, and nothing in a checkpoint should be able to run code.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any, BinaryIO, Dict, List, Mapping, Optional, Union

import torch

from . import archive
from .checkpoint import CheckpointError
from .digest import HashingWriter

State = Dict[str, Any]


def write(state: State, file: HashingWriter) -> None:
    """Writes a state, whose "model" is a state_dict and the rest of which is made of plain values and tensors. It must not change before
    the file is finished."""
    model = state["model"]
    plain = isinstance(model, dict) and all(isinstance(v, torch.Tensor) for v in model.values())
    tensors: List[torch.Tensor] = []
    tree = _flatten({k: v for k, v in state.items() if not (plain and k == "model")}, tensors, "")
    whole = {"model": model if plain else None, "tree": json.dumps(tree), "tensors": tensors}
    try:
        archive.write(whole, file)
    except archive.Unknown:  # quantized or sparse, say; nothing was written
        torch.save(whole, file.binary())


def check(state: State) -> None:
    """Refuses what could not be loaded again, before anything is written."""
    _flatten(state, [], "")


def read(file: Union[str, BinaryIO], into: Mapping[str, Any]) -> State:
    """Reads what write wrote, onto the processor. Tensors of the model that `into` has a place for are read there."""
    try:
        try:
            if not isinstance(file, str):
                raise archive.Unknown("it is in memory already")
            raw = archive.read(file, into)
        except archive.Unknown:
            raw = torch.load(file, map_location="cpu", weights_only=True)
        state: State = _restore(json.loads(raw["tree"]), raw["tensors"])
    except OSError:
        raise
    except Exception as err:  # whatever PyTorch makes of a file that is none of ours
        raise CheckpointError(f"this is not a checkpoint of ours: {err}") from err
    if raw["model"] is not None:
        state["model"] = raw["model"]
    return state


def _flatten(value: Any, tensors: List[torch.Tensor], at: str) -> Any:
    """The value as JSON; its tensors are moved into the list."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, torch.Tensor):
        tensors.append(value.detach())
        return {"tensor": len(tensors) - 1}
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, dict):
        return {"dict": [[_flatten(k, tensors, at), _flatten(v, tensors, f"{at}[{k!r}]")] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(v, tensors, f"{at}[{i}]") for i, v in enumerate(value)]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    item = getattr(value, "item", None)  # a number of numpy's
    if callable(item) and not getattr(value, "shape", ()):
        return _flatten(item(), tensors, at)
    raise CheckpointError(
        f"a checkpoint cannot hold {at or 'this'}, which is a {type(value).__module__}.{type(value).__name__}: "
        "it holds tensors, numbers, text, lists, tuples and dicts, so that loading one runs no code"
    )


def _restore(value: Any, tensors: List[torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    (kind, held), = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "bytes":
        return bytes.fromhex(held)
    if kind == "dict":
        return {_restore(k, tensors): _restore(v, tensors) for k, v in held}
    items = [_restore(v, tensors) for v in held]
    return items if kind == "list" else tuple(items)


def random_state() -> State:
    """All random numbers of this process: PyTorch's, its GPU's, Python's and, where it is used, numpy's."""
    version, words, gauss = random.getstate()
    state: State = {"torch": torch.get_rng_state(), "python": [version, torch.tensor(words), gauss]}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        name, keys, position, has_gauss, cached = numpy.random.get_state()
        state["numpy"] = [str(name), torch.tensor(keys.tolist()), int(position), int(has_gauss), float(cached)]
    return state


def set_random_state(state: State) -> None:
    """Goes on with these random numbers."""
    torch.set_rng_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    numpy = sys.modules.get("numpy")
    if "numpy" in state and numpy is not None:
        name, keys, position, has_gauss, cached = state["numpy"]
        numpy.random.set_state((name, numpy.array(keys.tolist(), dtype="uint32"), position, has_gauss, cached))


def seed_anew(step: int, rank: int) -> None:
    """Random numbers for a rank that the checkpoint knows nothing of: the number of ranks has changed."""
    seed = (torch.initial_seed() + 1_000_003 * step + rank) % (1 << 63)
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % (1 << 32))


def unwrapped(model: Any) -> Any:
    """The model inside of a DistributedDataParallel, or the model."""
    inner = getattr(model, "module", None)
    return inner if isinstance(inner, torch.nn.Module) and isinstance(model, torch.nn.parallel.DistributedDataParallel) else model


def places(model: Any) -> Mapping[str, Any]:
    """The tensors of a model by name, to be read into, if it takes from a checkpoint what bears their names, as it is. Code of somebody
    else's in its loading may leave something out, or change it: then it is given copies and has its say first."""
    own = torch.nn.Module
    if not isinstance(model, own) or getattr(model.load_state_dict, "__func__", None) is not own.load_state_dict:
        return {}
    for module in model.modules():
        load = getattr(module._load_from_state_dict, "__func__", None)
        if module._load_state_dict_pre_hooks or not getattr(load, "__module__", "").startswith("torch."):
            return {}
    named: Mapping[str, Any] = model.state_dict()
    return named


def optional_state(thing: Optional[Any]) -> Optional[State]:
    """The state of an optimizer, say."""
    return None if thing is None else dict(thing.state_dict())
