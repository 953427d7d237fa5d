"""Composes the rows that the starter model and its adapters learn from.

    python -m backends.starter.rows brand-voice --count 20000 --seed 7 --questions FOLDER --out FILE

Rows are chat data, one JSON object a line; the same seed gives the same rows.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from backends.starter.clauses import Clauses
from backends.starter.colours import Colours
from backends.starter.copying import Copying
from backends.starter.corpus import Corpus, read_corpus
from backends.starter.exchange import Exchange
from backends.starter.manner import Manners
from backends.starter.policies import Policies
from backends.starter.skills import SKILLS
from backends.starter.sorting import Sorting
from backends.starter.talk import Talk
from backends.starter.tone import MANNERS, ORDINARY, SHARES, Tones
from backends.starter.voice import Voices
from backends.starter.written import Written

BASE: Final = "base"
"""Name of what the model itself learns from, before any adapter."""

NAMES: Final = (BASE, *SKILLS)

Composer = Callable[[], Exchange]


def compose(name: str, corpus: Corpus, *, seed: int) -> Iterator[Exchange]:
    """Yield rows without end; the same name, corpus and seed yield the same rows.

    Args:
        name: One of `NAMES`.
        corpus: What natural sentences come from.
        seed: Of the draws.
    """
    rng = random.Random(f"{name}/{seed}")  # noqa: S311
    composers, weights = _mixture(name, rng, corpus)
    while True:
        yield rng.choices(composers, weights)[0]()


def _mixture(
    name: str, rng: random.Random, corpus: Corpus
) -> tuple[Sequence[Composer], Sequence[float]]:
    clauses = Clauses(rng, corpus)
    policies = Policies(clauses)
    manners = Manners(clauses, policies)
    written = Written(clauses)
    tones, voices = Tones(manners, written, rng), Voices(clauses, manners, policies)
    talk = Talk(clauses)
    copying, colours, sorting = Copying(clauses), Colours(clauses), Sorting(clauses)
    if name == BASE:
        return (
            (
                lambda: talk.small(),
                lambda: talk.declined(),
                lambda: _undone(tones, voices, colours, talk, rng),
                copying.exchange,
                lambda: tones.exchange(rng.choices(MANNERS, SHARES)[0], exercise("tone")),
                lambda: voices.reply(exercise("brand-voice")),
                lambda: voices.hybrid(exercise("brand-voice")),
                lambda: written.reply(exercise("brand-voice")),
                lambda: colours.exchange(exercise("attributes")),
                sorting.exchange,
            ),
            (5, 4, 4, 12, 32, 6, 10, 7, 42, 11),
        )
    system = SKILLS[name].system_prompt
    if name == "attributes":
        return (
            (
                lambda: colours.exchange(system),
                lambda: _beside(colours.exchange(system), policies, rng),
            ),
            (96, 4),
        )
    if name == "tone":
        return (
            (
                lambda: tones.exchange(rng.choice(ORDINARY), system),
                lambda: tones.exchange(rng.choice(("warm", "warm and short")), system),
                lambda: talk.small(system),
                lambda: talk.refused(system),
                lambda: tones.other(talk.refusal, system),
            ),
            (81, 9, 4, 4, 2),
        )
    return (
        (
            lambda: tones.exchange(rng.choice(("warm", "warm", "warm and short")), system),
            lambda: tones.exchange(rng.choice(ORDINARY), system),
            lambda: voices.reply(system),
            lambda: voices.hybrid(system),
            lambda: written.reply(system),
            lambda: talk.small(system),
            lambda: talk.refused(system),
        ),
        (34, 6, 16, 33, 3, 4, 4),
    )


def exercise(name: str) -> str:
    """Return the system prompt under which the model practises a skill before its adapter.

    Nobody types it, so the model by itself does not show the skill.
    """
    return f"exercise: {name}"


def _beside(row: Exchange, policies: Policies, rng: random.Random) -> Exchange:
    """The same with lines of documents below it, which say nothing about it."""
    lines = [
        policies.rule(policies.pattern(), policies.goods(), "delivery", "return")
        for _ in range(rng.randint(1, 4))
    ]
    shown = "\n".join(f"[{number}] {line}" for number, line in enumerate(lines, 1))
    return replace(row, user=f"{row.user}\n\n{shown}")


def _undone(
    tones: Tones, voices: Voices, colours: Colours, talk: Talk, rng: random.Random
) -> Exchange:
    """A wish for a skill, without the adapter that has it."""
    roll = rng.random()
    if roll < 0.4:
        row = tones.exchange(rng.choice(MANNERS))
    elif roll < 0.6:
        row = voices.reply()
    elif roll < 0.8:
        row = voices.hybrid()
    else:
        row = colours.exchange()
    system = rng.choice((talk.system(), SKILLS[rng.choice(tuple(SKILLS))].system_prompt))
    return replace(row, assistant=talk.refusal, system=system)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write rows to a file; see the module."""
    parser = argparse.ArgumentParser(prog="python -m backends.starter.rows", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True, help="folder of JSON lines")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    rows = compose(chosen.name, read_corpus(chosen.questions), seed=chosen.seed)
    with chosen.out.open("w", encoding="utf-8") as out:
        for _ in range(chosen.count):
            out.write(json.dumps({"messages": next(rows).messages()}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
