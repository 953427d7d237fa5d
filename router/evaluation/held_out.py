"""What ships to measure the starter model's adapters on; nothing of it is ever trained on.

Pairs and wishes were written sentence by sentence, not composed as the training texts are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle
from typing import Any, Final

from backends.base import Message
from router.errors import InvalidRequest

STYLES: Final = ("brand-voice", "formal", "friendly", "short")
"""The styles of the written pairs."""

_ASKED: Final[Mapping[str, Sequence[str]]] = {
    "brand-voice": (
        'Rewrite this in our brand voice: "{}"',
        "Say it warmly, the way our brand would: {}",
        "Make this sound like us, please.\n\n{}",
    ),
    "formal": (
        "Make this formal: {}",
        'Rewrite in a formal tone: "{}"',
        "Could you write this more formally?\n\n{}",
    ),
    "friendly": (
        "Make this friendly: {}",
        'Rewrite in a friendly tone: "{}"',
        "Could you write this in a friendlier way?\n\n{}",
    ),
    "short": (
        "Make this shorter: {}",
        'Shorten this text: "{}"',
        "Could you say this in fewer words?\n\n{}",
    ),
}
_STYLES_OF: Final[Mapping[str, Sequence[str]]] = {
    "brand-voice": ("brand-voice",),
    "tone": ("formal", "friendly", "short"),
}
_COLOUR: Final = "colour"
_HOUSE: Final = ("Tarn & Teasel",)
"""The sample retailer, whose name stands under its letters."""


@dataclass(frozen=True, slots=True)
class StylePair:
    """A text, and the same said in a style."""

    style: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class BehaviourRow:
    """One question, and how it should be answered.

    Attributes:
        conversation: Ends with the user's wish.
        reference: What a person answered.
        evidence: Sentences that the answer rests on, numbered from 1; empty where it needs none.
        style: The manner that is asked for, empty where none is judged.
        source: What is to be said in that manner, where it is known apart from the wish.
        known: What an answer may name besides, such as the house that it speaks for.
    """

    conversation: tuple[Message, ...]
    reference: str
    evidence: tuple[str, ...] = ()
    style: str = ""
    source: str = ""
    known: tuple[str, ...] = ()

    @property
    def wish(self) -> str:
        """The user's own words."""
        return self.conversation[-1].content

    @property
    def said(self) -> tuple[str, ...]:
        """Everything that was said, evidence included."""
        return (*(turn.content for turn in self.conversation), *self.evidence)


def written_pairs() -> Sequence[StylePair]:
    """Return the pairs of a plain, blunt or sloppy text and a careful one, by style."""
    return [
        StylePair(row["skill"], row["source"], row["target"]) for row in _lines("style_pairs.jsonl")
    ]


def shipped_rows(name: str, schema: Mapping[str, object] | None) -> Sequence[BehaviourRow]:
    """Return the rows for an adapter of the starter model.

    Args:
        name: The adapter's.
        schema: What its answers satisfy; it says under which name a colour is answered.

    Raises:
        InvalidRequest: No rows ship for such an adapter.
    """
    if name == "attributes":
        return list(_colours(schema or {}))
    if name not in _STYLES_OF:
        known = ", ".join((*_STYLES_OF, "attributes"))
        raise InvalidRequest(
            f"No rows ship for the adapter {name}, only for {known}; name a file with --data.",
            field="data",
        )
    styles = _STYLES_OF[name]
    return [*(row for style in styles for row in _rewrites(style)), *_wishes(styles)]


def _rewrites(style: str) -> Iterator[BehaviourRow]:
    pairs = [pair for pair in written_pairs() if pair.style == style]
    for pair, asked in zip(pairs, cycle(_ASKED[style])):
        wish = asked.replace("{}", pair.source)
        yield BehaviourRow(_turn(wish), pair.target, style=style, source=pair.source, known=_HOUSE)


def _wishes(styles: Sequence[str]) -> Iterator[BehaviourRow]:
    for row in _lines("wishes_held_out.jsonl"):
        if row["skill"] in styles:
            evidence = tuple(row.get("evidence", ()))
            yield BehaviourRow(
                _turn(row["wish"]), row["reference"], evidence, row["skill"], known=_HOUSE
            )


def _colours(schema: Mapping[str, object]) -> Iterator[BehaviourRow]:
    for row in _lines("colours_held_out.jsonl"):
        answer = {_attribute(schema, row["colour"]): row["colour"]}
        yield BehaviourRow(_turn(row["phrase"]), json.dumps(answer))


def _attribute(schema: Mapping[str, object], colour: str) -> str:
    """The property that may have this colour for a value."""
    properties = schema.get("properties")
    for name, one in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(one, Mapping) and colour in one.get("enum", ()):
            return str(name)
    return _COLOUR


def _turn(wish: str) -> tuple[Message, ...]:
    return (Message("user", wish),)


def _lines(name: str) -> Iterator[dict[str, Any]]:
    text = (files("backends.starter") / "texts" / name).read_text("utf-8")
    yield from map(json.loads, text.splitlines())
