"""The two files that PEFT writes of a LoRA, checked without loading a weight.

What passes here is a plain LoRA of one rank: what every server of adapters takes.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

from backends.errors import Refused
from backends.lora_sizes import Sizes, check_agreement

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"

MAX_RANK: Final = 512
"""No server takes more (vLLM's ``--max-lora-rank`` ends there)."""

MAX_JSON_BYTES: Final = 1_000_000
MAX_JSON_DEPTH: Final = 40

_MAX_HEADER_BYTES: Final = 100_000_000
"""The limit of the safetensors format itself."""

_BYTES: Final[Mapping[str, int]] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_TENSOR: Final = re.compile(
    r"(?P<module>.+)\.lora_(?:(?P<half>[AB])\.weight|embedding_(?P<emb>[AB]))"
)


@dataclass(frozen=True, slots=True)
class Lora:
    """What the files say of themselves.

    Attributes:
        rank: Of every module, 1 to `MAX_RANK`.
        base: The base model as the training named it: a name or a path; empty where it did not.
        sizes: Rows and columns of the base's matrices that it changes, by their modules' names.
    """

    rank: int
    base: str
    sizes: Sizes


def read_lora(folder: Path) -> Lora:
    """Read what a folder of PEFT's holds.

    Args:
        folder: With `CONFIG` and `WEIGHTS`.

    Raises:
        Refused: A file is missing, cut or damaged, or it is something else than a plain LoRA of one
            rank for one model.
    """
    if not folder.is_dir():
        raise refused(f"{folder} is not a folder.", f"It must hold {CONFIG} and {WEIGHTS}.")
    config = read_object(folder / CONFIG)
    rank = _rank(folder / CONFIG, config)
    _require_plain(folder / CONFIG, config)
    base = config.get("base_model_name_or_path")
    sizes = _checked_weights(folder / WEIGHTS, rank)
    check_agreement(folder / WEIGHTS, sizes)
    return Lora(rank, base if isinstance(base, str) else "", sizes)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object, of bounded size and depth.

    Raises:
        Refused: It cannot be read, is too large, or is something else.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise refused(
            f"{path} cannot be read: {reason}.", "An adapter is the folder that PEFT saves."
        ) from error
    if len(raw) > MAX_JSON_BYTES:
        raise refused(f"{path} is larger than {MAX_JSON_BYTES} bytes.", "Is it the right file?")
    try:
        value = json.loads(raw, parse_constant=_no_constant)
        value_depth = depth(value)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise refused(f"{path} is not JSON: {error}.", "Save the adapter again.") from error
    if not isinstance(value, dict):
        raise refused(f"{path} holds no JSON object.", "Save the adapter again.")
    if value_depth > MAX_JSON_DEPTH:
        raise refused(f"{path} is nested deeper than {MAX_JSON_DEPTH}.", "Make it flatter.")
    return value


def depth(value: object) -> int:
    """Return how deep a JSON value is nested; 0 for a number, a text and so on."""
    deepest, waiting = 0, [(value, 0)]
    while waiting:
        each, level = waiting.pop()
        deepest = max(deepest, level)
        inner = each.values() if isinstance(each, Mapping) else each
        if isinstance(each, Mapping | list | tuple):
            waiting.extend((one, level + 1) for one in inner)  # type: ignore[attr-defined]
    return deepest


def refused(problem: str, hint: str) -> Refused:
    """Return what to raise about an adapter's files."""
    return Refused(problem, backend="adapters", hint=hint)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _rank(path: Path, config: Mapping[str, Any]) -> int:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise refused(
            f"{path} says peft_type {kind!r}; only LORA is served.", "Train with peft's LoraConfig."
        )
    rank = config.get("r")
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= MAX_RANK:
        raise refused(
            f"{path} says rank r = {rank!r}.", f"It must be a whole number from 1 to {MAX_RANK}."
        )
    return rank


def _require_plain(path: Path, config: Mapping[str, Any]) -> None:
    for key, harmless, remedy in (
        ("rank_pattern", ({}, None), "Train all modules with one rank r."),
        ("alpha_pattern", ({}, None), "Train all modules with one lora_alpha."),
        ("modules_to_save", ([], None), "Train without modules_to_save."),
        ("use_dora", (False, None), "Train without use_dora."),
        ("bias", ("none", None), 'Train with bias="none".'),
    ):
        if (value := config.get(key)) not in harmless:
            shown = json.dumps(value)[:80]
            raise refused(f"{path} says {key} = {shown}, which servers do not apply.", remedy)


def _checked_weights(path: Path, rank: int) -> Sizes:
    """Return the sizes of what the weights change."""
    remedy = "Save the adapter again, or copy it again: the file is cut or damaged."
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header, begins = _header(file, path, size)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise refused(
            f"{path} cannot be read: {reason}.", "An adapter is the folder that PEFT saves."
        ) from error
    halves: dict[str, dict[str, tuple[int, ...]]] = {}
    ends = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise refused(
                f"{path} holds a tensor {name[:120]!r}, which is not a LoRA's.",
                "Save only the adapter, with peft's save_pretrained.",
            )
        shape, start, end = _entry(path, name, entry)
        if start != ends:
            raise refused(f"{path} has a gap before the tensor {name[:120]!r}.", remedy)
        ends = end
        halves.setdefault(match["module"], {})[match["half"] or match["emb"]] = shape
    if begins + ends != size:
        raise refused(f"{path} has {size} bytes, and its header says {begins + ends}.", remedy)
    if not halves:
        raise refused(f"{path} holds no tensor.", "Save the adapter again.")
    for module, shapes in halves.items():
        _require_rank(path, module, shapes, rank)
    return {module: (both["B"][0], both["A"][1]) for module, both in halves.items()}


def _header(file: BinaryIO, path: Path, size: int) -> tuple[dict[str, Any], int]:
    """The header with its entries in the order of their data, and where the data begin."""
    remedy = "Save the adapter again, or copy it again: the file is cut or damaged."
    length_bytes = file.read(8)
    length = struct.unpack("<Q", length_bytes)[0] if len(length_bytes) == 8 else 0
    if not 2 <= length <= min(size - 8, _MAX_HEADER_BYTES):
        raise refused(f"{path} is not a safetensors file, or is cut.", remedy)
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise refused(f"{path} has a header that is not JSON.", remedy) from error
    if not isinstance(header, dict):
        raise refused(f"{path} has a header that is no object.", remedy)

    def begins(item: tuple[str, Any]) -> int:
        offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
        first = offsets[0] if isinstance(offsets, list) and offsets else 0
        return first if isinstance(first, int) else 0

    return dict(sorted(header.items(), key=begins)), 8 + length


def _entry(path: Path, name: str, entry: object) -> tuple[tuple[int, ...], int, int]:
    """The tensor's shape, and where its bytes begin and end."""
    match entry:
        case {
            "dtype": str() as dtype,
            "shape": [int() as rows, int() as columns],
            "data_offsets": [int() as start, int() as end],
        } if dtype in _BYTES and min(rows, columns) > 0:
            if end - start == prod((rows, columns, _BYTES[dtype])):
                return (rows, columns), start, end
    raise refused(
        f"{path} describes the tensor {name[:120]!r} wrongly: {json.dumps(entry)[:120]}.",
        f"A LoRA's tensors are matrices of {', '.join(_BYTES)} whose bytes are all there.",
    )


def _require_rank(
    path: Path, module: str, shapes: Mapping[str, tuple[int, ...]], rank: int
) -> None:
    if set(shapes) != {"A", "B"}:
        raise refused(
            f"{path} has only one of the two matrices of {module[:120]}.", "Save the adapter again."
        )
    found = (shapes["A"][0], shapes["B"][1])
    if found != (rank, rank):
        raise refused(
            f"{path} has matrices of rank {found[0]} and {found[1]} for {module[:120]}; "
            f"{CONFIG} says {rank}.",
            "Config and weights are of different trainings; save both again.",
        )
