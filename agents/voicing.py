"""What a model is asked, from the task and from what the registry knows about the adapter.

An adapter answers as it was trained: its system prompt stands in front, its way of choosing words
and its format hold where the caller says nothing else, and where it has learnt to write around
slots, it never sees a number or a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from unicodedata import normalize

from agents.base import Task
from agents.budget import Excerpt, excerpts, lines
from agents.passages import passages_prompt
from backends.adapters import AdapterSpec
from backends.base import Embedder, Message, Passage, ScoredPassage
from backends.generation import GenerationRequest, Sampling
from backends.slots import Slots, slots_in

EVIDENCE_CHARACTERS: Final = 12_000
"""So much of the passages a model reads that no adapter's record speaks for."""


@dataclass(frozen=True, slots=True)
class Voiced:
    """A question in the form in which the model gets it.

    Attributes:
        request: For the generator.
        slots: What it does not see, to be put back into what it says; None where it sees all.
        given: Everything it was told, before any slot was made.
        repeated: Slots of a text that the user brought along, which its other wording should hold.
        lines: For models that read single sentences: these, in order. Empty for others.
    """

    request: GenerationRequest
    slots: Slots | None
    given: tuple[str, ...]
    repeated: frozenset[str] = frozenset()
    lines: tuple[Excerpt, ...] = ()


def voiced(task: Task) -> Voiced:
    """Return the request for an answer that rests on the conversation alone."""
    made = _voiced(task, _merged(task, task.conversation))
    asked = [turn.content for turn in made.request.messages if turn.role == "user"]
    return replace(made, repeated=slots_in(own_text(asked[-1]))) if made.slots and asked else made


async def voiced_with(
    task: Task,
    query: str,
    hits: Sequence[ScoredPassage],
    *,
    characters: int = EVIDENCE_CHARACTERS,
    reader: Embedder | None = None,
) -> Voiced:
    """Return the request for an answer that rests on passages.

    Its ``evidence`` holds the passages as the answer has to number them, whole, for the citations
    to be checked against; a passage of which two lines are read stands there twice.

    Args:
        task: The question, and who answers.
        query: What the passages were searched with.
        hits: What was found, best first.
        characters: Of the passages, for models without a record.
        reader: Chooses sentences, see `agents.budget.excerpts`.

    Raises:
        Unavailable: The reader cannot be reached in time.
    """
    spec = _spec(task)
    most = spec.evidence_characters if spec else characters
    if spec is not None and spec.prompting == "bare":
        read = await lines(query, hits, most, reader, least=points_in(task.question))
        turns = _merged(task, (*_system(task), Message("user", _bare(task.question, read))))
        made = _voiced(task, turns)
        return replace(made, request=_resting_on(made.request, read), lines=tuple(read))
    read = await excerpts(query, hits, most, reader)
    passages = [_showing(one) for one in read]
    made = _voiced(task, passages_prompt("hybrid", passages, _merged(task, task.conversation)))
    return replace(made, request=_resting_on(made.request, read))


def own_text(turn: str) -> str:
    """Return the text that a turn brings along, in quotation marks or behind a colon; or nothing.

    "Make it warmer, in 20 words: …": the number belongs to the wish, not to the text.
    """
    if quoted := _QUOTED.findall(turn):
        return "\n".join(quoted)
    _, _, rest = turn.partition("\n" if "\n" in turn.strip() else ": ")
    return rest if len(rest.split()) >= _FEWEST_WORDS else ""


def points_in(wish: str) -> int:
    """Return how many points an answer shall have: 3 for "in three short bullet points", else 1."""
    found = _POINTS.search(wish)
    if found is None:
        return 1
    number = found[1].lower()
    return int(number) if number.isdecimal() else _SMALL.index(number) + 2


def sampling_of(task: Task) -> Sampling:
    """Return how the model should choose words: the caller's wish, else the adapter's habit."""
    spec = _spec(task)
    if spec is None:
        return task.sampling
    asked, usual = task.sampling, spec.sampling
    return Sampling(
        max_tokens=usual.max_tokens if asked.max_tokens is None else asked.max_tokens,
        temperature=usual.temperature if asked.temperature is None else asked.temperature,
        top_p=usual.top_p if asked.top_p is None else asked.top_p,
        seed=usual.seed if asked.seed is None else asked.seed,
        stop=asked.stop or usual.stop,
    )


def schema_of(task: Task) -> Mapping[str, object] | None:
    """Return the JSON schema that the answer must satisfy: the caller's, else the adapter's."""
    spec = _spec(task)
    if task.schema is not None or spec is None or "response_format" in task.extra:
        return task.schema
    return spec.schema


_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]{16,})[\"”»]")
_FEWEST_WORDS: Final = 4
_SMALL: Final = ("two", "three", "four", "five", "six")
_POINTS = re.compile(
    rf"\b({'|'.join(_SMALL)}|[2-9])\s+(?:\w+\s+){{0,2}}?(?:bullets?|points|items|facts|tips|lines)\b",
    re.IGNORECASE,
)
_UNSAID = re.compile(
    "[ ]?[\u2600-\u27bf\ufe0f\u20e3\u200d\U0001f000-\U0001faff]+"
    "|[\u00ad\u200b-\u200f\u2060\ufeff\u00ae\u00a9\u2122]"
)
_BLANK = re.compile("[\u00a0\u2000-\u200a\u202f]")
_NUMBERED = re.compile(r"(\n+\[\d+\] )")


def _spec(task: Task) -> AdapterSpec | None:
    return task.registered.spec if task.registered else None


def _system(task: Task) -> list[Message]:
    return [turn for turn in task.conversation if turn.role == "system"]


def _merged(task: Task, turns: Sequence[Message]) -> tuple[Message, ...]:
    """The turns with the adapter's system prompt in front of the caller's, in one message.

    An adapter with bare prompting and a prompt of its own has learnt to follow no other.
    """
    spec = _spec(task)
    if spec is None or not spec.system_prompt:
        return tuple(turns)
    theirs = [turn.content for turn in turns if turn.role == "system"]
    spoken = [turn for turn in turns if turn.role != "system"]
    said = [spec.system_prompt] if spec.prompting == "bare" else [spec.system_prompt, *theirs]
    return (Message("system", "\n\n".join(said)), *spoken)


def _voiced(task: Task, turns: tuple[Message, ...]) -> Voiced:
    spec = _spec(task)
    slots = Slots() if spec is not None and spec.slots else None
    schema = schema_of(task)
    free = task.schema is None and "response_format" not in task.extra
    request = GenerationRequest(
        messages=_hidden(turns, slots, spec.system_prompt if spec else ""),
        question=task.question,
        adapter=task.adapter,
        sampling=sampling_of(task),
        schema=schema,
        grammar=spec.grammar if spec is not None and free and schema is None else None,
        extra=task.extra,
    )
    return Voiced(request, slots, tuple(turn.content for turn in turns))


def _hidden(turns: Sequence[Message], slots: Slots | None, as_trained: str) -> tuple[Message, ...]:
    """The turns without their facts; the adapter's own prompt stays as it was in training."""
    if slots is None:
        return tuple(turns)
    hidden = []
    for turn in turns:
        ours = as_trained if turn.role == "system" and turn.content.startswith(as_trained) else ""
        pieces = _NUMBERED.split(_plain(turn.content[len(ours) :]))
        # One piece after the other, as in training, so that each line is read by itself.
        content = "".join(one if at % 2 else slots.hide(one) for at, one in enumerate(pieces))
        hidden.append(replace(turn, content=ours + content))
    return tuple(hidden)


def _plain(text: str) -> str:
    """Return a text as it is typed, for models that have no words for how it can be set as well.

    Pictures (🙂), trade marks and what cannot be seen state no fact; a blank that does not break is
    a blank, and a letter with its accent behind it is one letter.
    """
    return normalize("NFC", _BLANK.sub(" ", _UNSAID.sub("", text)))


def _bare(wish: str, read: Sequence[Excerpt]) -> str:
    numbered = (
        f"[{number}] {' '.join(one.text.split())}" for number, one in enumerate(read, start=1)
    )
    return "\n".join([f"{wish.strip()}\n", *numbered])


def _showing(one: Excerpt) -> Passage:
    return one.passage if one.text == one.passage.text else replace(one.passage, text=one.text)


def _resting_on(request: GenerationRequest, read: Sequence[Excerpt]) -> GenerationRequest:
    return replace(request, evidence=tuple(one.passage for one in read))
