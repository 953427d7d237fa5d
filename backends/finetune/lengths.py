"""How many tokens a row takes, counted by the base's own tokenizer, without torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

from backends.base import Message
from backends.errors import Misconfigured

CountTokens: TypeAlias = Callable[[Sequence[Message]], int]

_AROUND: Final = 6
"""Tokens of the marks around a turn, where the chat template cannot be rendered: role, line break
and end mark take three to five in the templates of Llama, Qwen and Mistral."""

_EDGES: Final = (0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)


def open_counter(base: Path) -> CountTokens:
    """Return what counts the tokens of a conversation for the model in this folder.

    Chat templates need Jinja2, which the extra ``finetune`` brings; without it the marks around the
    turns are estimated, generously.

    Raises:
        Misconfigured: There is no readable ``tokenizer.json``.
    """
    from tokenizers import Tokenizer

    file = base / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises nothing narrower
        raise Misconfigured(
            f"{file} cannot be read as a tokenizer.",
            backend="fine-tuning",
            hint="The base must be a folder with config.json, *.safetensors and tokenizer.json.",
        ) from error

    def tokens(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    render = _renderer(base)
    if render is None:
        return lambda turns: sum(tokens(turn.content) + _AROUND for turn in turns)
    return lambda turns: tokens(render(turns))


def context_of(base: Path, *, default: int = 2048) -> int:
    """Return how many tokens the model in this folder reads (``max_position_embeddings``).

    Raises:
        Misconfigured: ``config.json`` is missing or broken.
    """
    config = _read_json(base / "config.json", needed=True)
    found = config.get("max_position_embeddings", default)
    return found if isinstance(found, int) and found > 0 else default


def control_tokens(base: Path) -> tuple[str, ...]:
    """Return what the model's tokenizer reads as a mark of the conversation, such as an end.

    Raises:
        Misconfigured: ``tokenizer.json`` is broken.
    """
    added = _read_json(base / "tokenizer.json", needed=True).get("added_tokens")
    tokens = [one for one in added if isinstance(one, dict)] if isinstance(added, list) else []
    return tuple(str(one["content"]) for one in tokens if one.get("special") and one.get("content"))


def histogram(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (least, most, rows) of each range of lengths that occurs, in doubling ranges."""
    edges = [*_EDGES, max(lengths, default=0)]
    ranges = [(low + 1, high) for low, high in pairwise(edges) if high > low]
    counted = [(low, high, sum(low <= one <= high for one in lengths)) for low, high in ranges]
    return [one for one in counted if one[2]]


def _renderer(base: Path) -> Callable[[Sequence[Message]], str] | None:
    template = _template(base)
    if template is None:
        return None
    try:
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError:
        return None
    from jinja2.exceptions import TemplateError

    # As transformers renders them.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = json.dumps
    compiled = environment.from_string(template)

    def render(turns: Sequence[Message]) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return compiled.render(messages=messages, add_generation_prompt=False)
        except TemplateError as error:
            raise Misconfigured(
                f"The chat template of {base} takes no such conversation: {error}.",
                backend="fine-tuning",
            ) from error

    return render


def _template(base: Path) -> str | None:
    beside = base / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    inside = _read_json(base / "tokenizer_config.json", needed=False).get("chat_template")
    return inside if isinstance(inside, str) else None


def _read_json(path: Path, *, needed: bool) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError) as error:
        if not needed and not path.exists():
            return {}
        raise Misconfigured(
            f"{path} cannot be read ({type(error).__name__}).",
            backend="fine-tuning",
            hint="The base must be a folder with config.json, *.safetensors and tokenizer.json.",
        ) from error
