"""What the training process is asked to do and what it tells; plain JSON, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from backends.base import Message
from backends.finetune.examples import Example, as_json
from backends.finetune.recipe import Recipe

FETCH: Final = "fetch"
TRAIN: Final = "train"


@dataclass(frozen=True, slots=True)
class Rival:
    """The version that a candidate has to beat, with the base that it is for."""

    folder: Path
    base: Path


@dataclass(frozen=True, slots=True)
class Job:
    """Train an adapter, then let it speak beside the version before it.

    Attributes:
        base: Folder of the base model.
        base_name: What people call it.
        out: Folder of the adapter.
        stamp: See `backends.finetune.train.Run`.
        training: Rows to learn.
        measuring: Rows held out.
        rehearsing: Prompts whose answers by the base are learnt along.
        general: Prompts that show what the base can do, none of which trains.
        rival: The live version; None where there is none, and the bare base speaks instead.
        max_tokens: Of one answer.
    """

    base: Path
    base_name: str
    out: Path
    stamp: str
    recipe: Recipe
    training: tuple[Example, ...]
    measuring: tuple[Example, ...]
    rehearsing: tuple[str, ...] = ()
    general: tuple[str, ...] = ()
    rival: Rival | None = None
    resume: bool = False
    mlflow: str = ""
    max_tokens: int = 256

    def write(self, path: Path) -> None:
        """Write it where the training process reads it."""
        values: dict[str, Any] = {
            **{name: getattr(self, name) for name in _PLAIN},
            "base": str(self.base),
            "out": str(self.out),
            "recipe": asdict(self.recipe),
            "training": [_row(one) for one in self.training],
            "measuring": [_row(one) for one in self.measuring],
            "rival": None,
        }
        if self.rival is not None:
            values["rival"] = [str(self.rival.folder), str(self.rival.base)]
        path.write_text(json.dumps(values), encoding="utf-8")


_PLAIN: Final = (
    "base_name", "stamp", "rehearsing", "general", "resume", "mlflow", "max_tokens"
)  # fmt: skip


def read_job(path: Path) -> Job:
    """Read what `Job.write` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    rival = values["rival"]
    return Job(
        base=Path(values["base"]),
        base_name=values["base_name"],
        out=Path(values["out"]),
        stamp=values["stamp"],
        recipe=Recipe(**values["recipe"]),
        training=tuple(map(_example, values["training"])),
        measuring=tuple(map(_example, values["measuring"])),
        rehearsing=tuple(values["rehearsing"]),
        general=tuple(values["general"]),
        rival=Rival(Path(rival[0]), Path(rival[1])) if rival else None,
        resume=values["resume"],
        mlflow=values["mlflow"],
        max_tokens=values["max_tokens"],
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of each side to a held-out prompt."""

    reference: str
    candidate: str
    candidate_ended: bool
    rival: str
    rival_ended: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a job; the gate judges it.

    Attributes:
        trained: `backends.finetune.recipe.Trained.as_json`.
        rehearsed: Rows of the base's own words that were learnt along.
        answers: One for each row held out.
        general: For each general prompt how surprised the base and the candidate are by the base's
            own answer, in nats per token.
        against_base: No version was live, so the rival is the bare base.
    """

    trained: Mapping[str, Any]
    rehearsed: int
    answers: tuple[Answered, ...]
    general: tuple[tuple[float, float], ...]
    against_base: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as a line that the training process prints."""
        return asdict(self)


def read_measured(values: Mapping[str, Any]) -> Measured:
    """Read what `Measured.as_json` gave."""
    return Measured(
        trained=values["trained"],
        rehearsed=values["rehearsed"],
        answers=tuple(Answered(**one) for one in values["answers"]),
        general=tuple((before, after) for before, after in values["general"]),
        against_base=values["against_base"],
    )


def asked(prompt: str) -> tuple[Message, ...]:
    """Return a general prompt as a conversation: without instructions, as the base is asked."""
    return (Message("user", prompt),)


def _row(example: Example) -> dict[str, Any]:
    return {**as_json(example), "line": example.line}


def _example(row: Mapping[str, Any]) -> Example:
    turns = [Message(one["role"], one["content"]) for one in row["messages"]]
    return Example(tuple(turns[:-1]), turns[-1].content, row["line"], row.get("label", ""))


def longest_answer(examples: Sequence[Example], tokens: int) -> int:
    """Return a limit for answers: twice the longest reference, between 32 and ``tokens``.

    A character is at most a few tokens; half as many tokens as characters is generous for text.
    """
    longest = max((len(example.answer) for example in examples), default=0)
    return max(32, min(tokens, longest))
