"""What is filled in, left out, checked and held back of an answer on its way to the reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from agents.base import Citation, Cited, Token
from agents.citations import CitationChecker
from agents.fidelity import UNFILLED, Doubts, FactGuard, facts_kept, invented, quoted
from agents.links import LinkGuard
from agents.repeating import LineGuard
from agents.sources import Sources
from backends.generation import GenerationRequest

if TYPE_CHECKING:
    from backends.slots import Slots

NO_ANSWER: Final = "NO ANSWER"
"""What the prompts tell a model to say when the passages do not hold the answer."""

FACTS_TO_KEEP: Final = 0.5
"""Share of the best line's facts that an answer has to state: a line may say more than was asked,
such as the price in another country."""


class Stage(Protocol):
    """Takes an answer in pieces and gives back what goes on of it."""

    def feed(self, piece: str) -> str:
        """Take the next piece; what is not certain yet is held back."""
        ...

    def close(self) -> str:
        """The answer is over; give back what was held."""
        ...


@dataclass(frozen=True, slots=True)
class Care:
    """What an answer is held to on its way to the reader.

    Attributes:
        slots: Held out of the model's sight, and put back.
        sources: Numbers, dates, codes and names that it may state; None for any.
        given: Texts whose links it may repeat; None for the request's own.
        repeated: Slots that the answer should hold; the reply says which it does not.
        lines: What was given to a model that has learnt to repeat lines; its statements are held to
            those that they cite.
        best: Nothing is shown until the answer has cited a passage and states the facts of this
            text; None shows it as it comes.
    """

    slots: Slots | None = None
    sources: Sources | None = None
    given: tuple[str, ...] | None = None
    repeated: frozenset[str] = frozenset()
    lines: tuple[str, ...] = ()
    best: str | None = None


class PlainAnswer:
    """An answer that cites nothing."""

    def __init__(self, care: Care) -> None:
        self._care = care
        self._filler = None if care.slots is None else care.slots.filler()
        self.text = ""

    def feed(self, piece: str) -> Iterable[Token]:
        """Take the next piece; give back what has come through."""
        return self._through(self._filler.feed(piece) if self._filler else piece)

    def close(self) -> Iterable[Token]:
        """The answer is over; give back what was held."""
        return self._through(self._filler.close() if self._filler else "")

    def note(self) -> str | None:
        """What a reader must know about what is missing, in plain words."""
        notes = [self._missing()]
        if self._care.sources is not None:
            doubtful = invented(self.text, self._care.sources)
            notes.append(Doubts(kept=[one.text for one in doubtful if one.kind != "name"]).note)
        return joined(*notes)

    def _missing(self) -> str | None:
        slots, filler = self._care.slots, self._filler
        if slots is None or filler is None:
            return None
        missing = [slots.values[slot] for slot in sorted(self._care.repeated - filler.used)]
        return joined(
            f"The answer leaves out what the text says: {quoted(missing)}." if missing else None,
            "The answer has a gap: the model wanted to state what nobody had told it."
            if filler.unknown
            else None,
        )

    def _through(self, text: str) -> Iterable[Token]:
        self.text += text
        return [Token(text)] if text else []


class CitedAnswer:
    """An answer on its way: what is filled in, left out, checked and held back of it."""

    def __init__(self, request: GenerationRequest, care: Care) -> None:
        self._checker = CitationChecker(request.evidence)
        self._links = LinkGuard(_given(request) if care.given is None else care.given)
        self._facts = None if care.sources is None else FactGuard(care.sources)
        filler = None if care.slots is None else care.slots.filler(unknown=UNFILLED)
        lines = LineGuard(care.lines) if care.lines else None
        self._stages = Stages([one for one in (filler, lines, self._facts, self._links) if one])
        self._best = care.best
        self._held: list[Token | Cited] = []

    @property
    def text(self) -> str:
        """Everything that has come through so far."""
        return self._checker.text

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Those that were verified so far."""
        return tuple(self._checker.citations)

    def waiting(self) -> bool:
        """Whether it still has to say what the documents say."""
        if (
            self._best is not None
            and self._checker.citations
            and facts_kept(self._best, self.text) >= FACTS_TO_KEEP
        ):
            self._best = None
        return self._best is not None

    def feed(self, text: str) -> Iterable[Token | Cited]:
        """Take the next piece; give back what has come through."""
        return self._checker.feed(self._stages.feed(text))

    def let_through(self, event: Token | Cited) -> Iterable[Token | Cited]:
        """Give back what may be seen now."""
        self._held.append(event)
        if NO_ANSWER.startswith(self.text.strip()[: len(NO_ANSWER)]) or self.waiting():
            return ()
        ready, self._held = self._held, []
        return ready

    def close(self) -> Sequence[Token | Cited]:
        """The answer is over; give back what was held."""
        self._held.extend(self._checker.feed(self._stages.close()))
        self._held.extend(self._checker.close())
        return self._held

    def note(self) -> str | None:
        """What a reader must know about what is missing, in plain words."""
        doubts = None if self._facts is None else self._facts.doubts.note
        return joined(_left_out(self._checker, self._links), doubts)


class Stages:
    """Several stages as one."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    def feed(self, piece: str) -> str:
        for stage in self._stages:
            piece = stage.feed(piece)
        return piece

    def close(self) -> str:
        rest = ""
        for stage in self._stages:
            rest = stage.feed(rest) + stage.close()
        return rest


def joined(*notes: str | None) -> str | None:
    """Return notes as one; None where there are none."""
    return " ".join(note for note in notes if note) or None


def _given(request: GenerationRequest) -> Iterable[str]:
    """Every text whose links an answer may repeat."""
    yield from (turn.content for turn in request.messages)
    for passage in request.evidence:
        yield from (passage.text, passage.source)


def _left_out(checker: CitationChecker, guard: LinkGuard) -> str | None:
    """What a reader must know about what is missing from an answer, in plain words."""
    notes = []
    if checker.removed:
        noun = "citation" if checker.removed == 1 else "citations"
        verb = "was" if checker.removed == 1 else "were"
        notes.append(f"{checker.removed} {noun} could not be verified and {verb} removed.")
    if guard.removed:
        links = "1 link" if guard.removed == 1 else f"{guard.removed} links"
        verb = "was" if guard.removed == 1 else "were"
        notes.append(f"{links} that nobody had given {verb} removed.")
    if not checker.citations:
        notes.append("The answer cites no passage that supports it.")
    return joined(*notes)
