"""Does an adapter fit a server? Its files, its base, and what the server says when it refuses one.

The sentences that are looked for are those of vLLM 0.32 (`lora/peft_helper.py`,
`v1/worker/lora_model_runner_mixin.py`, `exceptions.py` and `entrypoints/openai/models/serving.py`
there).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from backends.adapters import Adapter
from backends.errors import BackendError, Refused
from backends.lora import WEIGHTS, read_lora, read_object
from backends.lora_sizes import check_model
from backends.manifest import file_hash
from backends.vllm import wire
from backends.vllm.wire import Listed

RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What ``--max-lora-rank`` takes."""

MODEL_CONFIG: Final = "config.json"

RUNTIME_FLAGS: Final = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 --enable-lora"

_RANK: Final = re.compile(r"rank (\d+) is greater than max_lora_rank (\d+)")
_ENGINE: Final = re.compile(r"Worker failed with error '(.*)', please check", re.DOTALL)
_NO_FOLDER: Final = "No adapter found for"
_LORA_OFF: Final = "LoRA is not enabled"
_LOADED_ALREADY: Final = "has already been loaded"
_UNKNOWN: Final = "cannot be found"


def check_files(adapter: Adapter) -> None:
    """Check that the adapter's files are those that were registered, and whole.

    Raises:
        Refused: They are missing, damaged or others.
    """
    spec = adapter.spec
    lora = read_lora(spec.folder)
    if lora.rank != spec.rank:
        raise _refused(
            f"The files of {adapter.served_as} in {spec.folder} are of rank {lora.rank}, and "
            f"{spec.rank} is registered.",
            "Put the registered files back, or add these as a new version.",
        )
    if file_hash(spec.folder / WEIGHTS) != spec.weights_hash:
        raise _refused(
            f"{spec.folder / WEIGHTS} is not the file that was registered as "
            f"{adapter.served_as}: its checksum is another one.",
            "Put the registered file back, or add this one as a new version.",
        )


def names_of_bases(models: Sequence[Listed]) -> Sequence[str]:
    """Return every name by which the base models of a list may be known."""
    bases = [model for model in models if model.base is None]
    roots = (name for model in bases for name in sorted(_names(model.root)))
    return tuple(dict.fromkeys([*(model.name for model in bases), *roots]))


def serves_base(adapter: Adapter, bases: Sequence[Listed]) -> bool:
    """Whether one of a server's base models has the name of the adapter's base."""
    wanted = _names(adapter.spec.base)
    return any(wanted & (_names(model.name) | _names(model.root)) for model in bases)


def check_base(
    adapter: Adapter, bases: Sequence[Listed], server: str, hashed: Callable[[Path], str]
) -> None:
    """Check that a server serves the model that the adapter was trained from.

    Where the hash of the base is known and the server's model is a folder that is here as well,
    its files decide; else the names do. A model that is here must be of the adapter's sizes as
    well, which not every server looks at.

    Args:
        adapter: Which adapter.
        bases: The server's base models.
        server: Host and port.
        hashed: Returns the hash of a model's folder (`backends.manifest.model_hash`).

    Raises:
        Refused: It is another one.
    """
    spec = adapter.spec
    here = [Path(model.root) for model in bases if model.root and Path(model.root).is_dir()]
    if problem := _other_base(adapter, bases, here, hashed):
        raise _refused(
            f"{adapter.served_as} was trained from {spec.base!r}; {server} serves "
            f"{_listed(bases)}{problem} that it needs.",
            f"Serve {spec.base!r} there, or train the adapter from the model that is served. If it "
            f"is that model by another name: router adapters add {spec.folder} --base NAME",
        )
    # A keeper that runs elsewhere need not see the adapter's folder.
    seen = (spec.folder / WEIGHTS).is_file()
    for config in (folder / MODEL_CONFIG for folder in here):
        if seen and config.is_file():
            check_model(spec.folder / WEIGHTS, read_lora(spec.folder).sizes, read_object(config))


def is_runtime_loading_off(status: int, words: str) -> bool:
    """Whether an answer of the loading endpoints means that there are none."""
    if _LORA_OFF in words:
        return True
    return status in (404, 405, 501) and _NO_FOLDER not in words and _UNKNOWN not in words


def is_loaded_already(status: int, words: str) -> bool:
    """Whether a server refuses to load an adapter because somebody else has loaded it."""
    return status == 400 and _LOADED_ALREADY in words


def loads_nothing(server: str) -> Refused:
    """Return the error for a server that can only serve what it was started with."""
    return Refused(
        f"The model server at {server} loads no adapters at run time.",
        backend="model server",
        hint=f"Start it with {RUNTIME_FLAGS}.",
    )


def refusal(adapter: Adapter, server: str, status: int, words: str) -> BackendError:
    """Return the error for what a healthy server answered when it was to load an adapter."""
    if is_runtime_loading_off(status, words):
        return loads_nothing(server)
    if match := _RANK.search(words):
        rank = int(match[1])
        enough = next((known for known in RANKS if known >= rank), RANKS[-1])
        return _refused(
            f"{adapter.served_as} has rank {rank}, and the model server at {server} takes "
            f"{match[2]} at most.",
            f"Start it with --max-lora-rank {enough}, or train with a lower rank.",
        )
    if _NO_FOLDER in words:
        return _refused(
            f"The model server at {server} does not see the folder {adapter.spec.folder}.",
            "Mount it there under the same path, or register it under one that both see.",
        )
    if status in (400, 500):
        if match := _ENGINE.search(words):
            words = match[1]
        return _refused(
            f"The model server at {server} cannot load {adapter.served_as}{wire.quoted(words)}.",
            "Its files may be damaged, or made for a model of other dimensions.",
        )
    return wire.failure(server, status, words)


def _other_base(
    adapter: Adapter, bases: Sequence[Listed], here: Sequence[Path], hashed: Callable[[Path], str]
) -> str:
    """Empty, or what the served models are as against what the adapter needs."""
    wanted = adapter.spec.base_hash
    if wanted and here:
        same = any(hashed(folder) == wanted for folder in here)
        return "" if same else " with other weights than those"
    return "" if serves_base(adapter, bases) else ", not the model"


def _refused(problem: str, hint: str) -> Refused:
    return Refused(problem, backend="adapters", hint=hint)


def _listed(bases: Sequence[Listed]) -> str:
    return ", ".join(repr(model.name) for model in bases) or "no base model"


def _names(name: str) -> frozenset[str]:
    """A model's name or folder, and its last part: servers and trainings cut them differently."""
    whole = name.rstrip("/")
    return frozenset({whole, PurePosixPath(whole).name} - {""})
