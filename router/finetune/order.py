"""What ``router finetune`` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backends.adapters import NAME
from backends.finetune.recipe import Recipe
from router.errors import InvalidRequest

STARTER: Final = "starter"


@dataclass(frozen=True, slots=True)
class Teacher:
    """A larger model whose answers become the targets.

    Attributes:
        url: Of its OpenAI-compatible server.
        model: Its name there; None for the first that the server lists.
        key: Bearer token.
    """

    url: str
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to make out of what.

    Attributes:
        data: Chat data; None only where a corpus with questions stands for it.
        name: Of the adapter.
        base: `STARTER`, a folder, or a name of the hub.
        out: Folder of the adapter; None for one beneath the router's home, named by what the
            adapter is made of.
        test: Rows that measure; None holds some out of ``data``.
        schema: File with the JSON schema of answers.
        system: File with the instructions that go in front.
        description: One sentence for the registry.
        raft: A folder of documents, or one in the layout of BEIR.
        oracle: Share of RAFT's rows whose passages hold the answer.
        teacher: Who answers instead of the data's own answers.
        resume: Go on from the last checkpoint.
        mlflow: Experiment to log to as well; empty for none.
        promote: Put it into service if the gate lets it through.
    """

    data: Path | None
    name: str
    base: str = STARTER
    out: Path | None = None
    test: Path | None = None
    schema: Path | None = None
    system: Path | None = None
    description: str = ""
    raft: Path | None = None
    oracle: float = 0.8
    teacher: Teacher | None = None
    recipe: Recipe = field(default_factory=Recipe)
    resume: bool = False
    mlflow: str = ""
    promote: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InvalidRequest(
                f"{self.name!r} is no name of an adapter: small letters, digits and hyphens, a "
                "letter first, at most 63.",
                field="name",
            )
        if self.data is None and self.raft is None:
            raise InvalidRequest("Name a file of examples, or a corpus with --raft.", field="data")

    def instructions(self) -> str:
        """Return what stands in the file of instructions, "" without one.

        Raises:
            InvalidRequest: It cannot be read, or is empty.
        """
        if self.system is None:
            return ""
        try:
            text = self.system.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f"{self.system} cannot be read as text.", field="system"
            ) from error
        if not text:
            raise InvalidRequest(f"{self.system} is empty.", field="system")
        return text
