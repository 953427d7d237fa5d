"""What the brand-voice skill learns from: replies to customers, with evidence and without."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backends.starter.clauses import Clauses
from backends.starter.exchange import Exchange, slotted
from backends.starter.lexicon import capital, pairs, pick
from backends.starter.manner import Manners
from backends.starter.policies import Policies

CLOSE: Final = "Warm regards, your Tarn & Teasel team"
"""How every reply to a customer ends, as the sample retailer's guide for replies has it."""

NEXT_STEPS: Final = {
    "late": "Please send us your order number, and we will look for it straight away.",
    "damage": "Please send us a photo and your order number, and we will put it right.",
    "fit": "Please send us your order number, and we will help you to find the right one.",
    "stock": "Please tell us what you need, and we will look for something similar.",
    "other": "Please send us your order number, and we will look into it straight away.",
}
"""What a reply offers after each kind of trouble."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Numbered sentences and those of them that answer."""

    lines: tuple[tuple[int, str], ...]
    useful: tuple[tuple[int, str], ...]


class Voices:
    """Composes replies in the brand voice."""

    def __init__(self, clauses: Clauses, manners: Manners, policies: Policies) -> None:
        self._clauses = clauses
        self._manners = manners
        self._rng: random.Random = clauses.rng
        self._policies = policies
        self._lists = policies.lists
        self._losses = pairs(self._lists["losses"])

    def reply(self, system: str = "") -> Exchange:
        """Return a reply to a customer's concern that needs no document."""
        while True:
            roll = self._rng.random()
            made = self._quoted() if roll < 0.3 else self._described()
            row = slotted(*made, system)
            if row is not None and len(row.user) < 400:
                return row

    def hybrid(self, system: str = "") -> Exchange:
        """Return a wish with numbered sentences and the text that repeats those it needs."""
        while True:
            row = slotted(*self._with_evidence(), system)
            if row is not None and len(row.user) < 1100:
                return row

    # Without evidence

    def _described(self) -> tuple[str, str]:
        rng = self._rng
        wish = pick(rng, self._lists["reply wishes"])
        name = self._clauses.name() if "{name}" in wish else ""
        her = pick(rng, ("her", "his", "their", "the"))
        situation, body = self._situation(her)
        mood = pick(rng, self._lists["moods"])
        asked = self._clauses.fill(wish, mood=lambda: mood, name=lambda: name, s=lambda: situation)
        return _tidy(asked), f"{_hello(name)} {body} {CLOSE}"

    def _situation(self, her: str) -> tuple[str, str]:
        """Return what a customer is said to do, and what is answered."""
        rng = self._rng
        roll = rng.random()
        your = "the" if her == "the" else "your"
        thing = self._noun_phrase()
        if roll < 0.45:
            trouble, problem = self._clauses.trouble()
            pattern = pick(rng, self._lists["situations"])
            owner = her if "{her}" in pattern else ("your" if "whose" in pattern else "the")
            said = "your" if owner != "the" else "the"
            phrase = re.sub(r"\{her\}|\{kind\} ?", "", pattern)
            situation = " ".join(
                phrase.replace("{thing}", f"{owner if '{her}' in pattern else ''} {thing}")
                .replace("{problem}", problem)
                .split()
            )
            body = f"thank you for writing to us. We are sorry that {said} {thing} {problem}."
            return situation, f"{body} {NEXT_STEPS[trouble]}"
        if roll < 0.65:
            verb = pick(rng, tuple(self._losses))
            body = f"We are sorry that you {self._losses[verb]} {your} {thing}."
            return f"who {verb} {her} {thing}", (
                f"thank you for writing to us. {body} {NEXT_STEPS['other']}"
            )
        if roll < 0.82:
            verb = pick(rng, self._lists["wants"])
            wants = pick(rng, ("who wants to", "who would like to", "who asks to", "wanting to"))
            body = f"thank you for telling us that you would like to {verb} {your} {thing}."
            return f"{wants} {verb} {her} {thing}", (
                f"{body} Please send us your order number, and we will gladly help you with that."
            )
        praise = pick(rng, self._lists["praise"])
        kind, noun = self._clauses.kind(), self._clauses.thing()
        name, place = self._clauses.name(), pick(rng, self._clauses.lists["places"])
        person = pick(rng, self._clauses.lists["people"])
        many = self._clauses.things()

        def praised(owner: str) -> str:
            return self._clauses.fill(
                praise, her=lambda: owner, kind=lambda: kind, thing=lambda: noun,
                name=lambda: name, place=lambda: place, person=lambda: person, things=lambda: many,
            )  # fmt: skip

        thanks = pick(rng, ("who thanks us for", "who praises", "who loves", "who is happy with"))
        return f"{thanks} {praised(her)}", (
            f"thank you for your kind words about {praised(your)}. We have passed them on to the "
            "team, and they have made our day."
        )

    def _quoted(self) -> tuple[str, str]:
        rng = self._rng
        name = self._clauses.name()
        wish = pick(rng, self._lists["quote wishes"])
        trouble, problem = self._clauses.trouble()
        thing = self._noun_phrase()
        owner = pick(rng, ("my", "my", "the", "our"))
        lead = pick(rng, ("", "", "", "Hello, ", "Hi, ", "I am annoyed: ", "Dear team, ", "Well, "))
        mine = f"{owner} {thing} {problem}"
        more = pick(
            rng,
            ("", "", " What now?", " Please help.", " I am not happy.", " What can I do?",
             " That is not good enough.", " Can you help me?", " I want my money back."),
        )  # fmt: skip
        text = f"{lead}{mine if lead else capital(mine)}.{more}"
        asked = self._clauses.fill(
            wish,
            q=lambda: pick(rng, ('"{}"', '"{}"', "“{}”", "{}", "'{}'")).format(text),
            mood=lambda: pick(rng, self._lists["moods"]),
            name=lambda: name,
        )
        said = "the" if owner == "the" else "your"
        body = f"thank you for writing to us. We are sorry that {said} {thing} {problem}."
        to = name if "{name}" in wish else ""
        return _tidy(asked), f"{_hello(to)} {body} {NEXT_STEPS[trouble]} {CLOSE}"

    def _noun_phrase(self) -> str:
        thing = self._clauses.thing()
        return f"{self._clauses.kind()} {thing}" if self._rng.random() < 0.35 else thing

    # With evidence

    def _with_evidence(self) -> tuple[str, str]:
        rng = self._rng
        audience = rng.choices(("customer", "colleague", "team", "open"), (50, 18, 14, 18))[0]
        wish = pick(rng, self._lists[f"{audience} wishes"])
        goods, noun = self._policies.goods(), pick(rng, self._lists["nouns"])
        verb = pick(rng, tuple(self._policies.verbs))
        name = self._clauses.name()
        form, items = self._form() if "{form}" in wish else ("", 0)
        mood = pick(rng, self._lists["moods"])
        blanks: dict[str, Callable[[], str]] = {
            "goods": lambda: goods,
            "noun": lambda: noun,
            "v": lambda: verb,
            "pp": lambda: self._policies.verbs[verb],
            "mood": lambda: mood,
            "name": lambda: name,
            "form": lambda: form,
            "q": lambda: pick(rng, self._lists["questions"]),
            "dq": lambda: pick(rng, self._lists["direct questions"]),
            "problem": lambda: self._clauses.trouble()[1],
            "proof": lambda: pick(rng, self._lists["proofs"]),
            "t": lambda: pick(rng, self._lists["topics"]),
        }
        asked = _tidy(self._clauses.fill(wish, **blanks))
        if "{q}" in wish and rng.random() < 0.5:
            asked = asked.replace("they", pick(rng, ("they", "she", "he", "I", "you")))
        if form and rng.random() < 0.25:
            bare = _tidy(self._clauses.fill(wish, **{**blanks, "form": lambda: ""}))
            asked = f"{capital(form.strip(' ,'))}: {bare}"
        evidence = self._evidence(goods, noun, verb, items)
        shown = "\n".join(f"[{number}] {line}" for number, line in evidence.lines)
        greeted = name if "{name}" in wish else ""
        short = "short" in mood or "brief" in mood
        answer = self._told(evidence, audience, greeted, items, short=short)
        return f"{asked}\n\n{shown}", answer

    def _form(self) -> tuple[str, int]:
        """Return words for a form and how many items it has; 0 for a letter, -1 for any number."""
        rng = self._rng
        if rng.random() < 0.55:
            return "", 0
        mood = pick(
            rng, ("", "", "", "cheerful ", "short ", "friendly ", "clear ", "simple ", "warm ")
        )
        many = rng.choice((2, 3, 3, 3, 4, 5, -1, -1))
        count = {2: "two ", 3: "three ", 4: "four ", 5: "five ", -1: ""}[many]
        what = pick(rng, ("bullet points", "bullet points", "bullets", "points", "bulleted lines"))
        if many == -1 and rng.random() < 0.4:
            return pick(rng, (" as a list", " as a short list", ", as a bullet list")), -1
        if rng.random() < 0.2:
            return pick(
                rng, (" in one sentence", ", in one short sentence", " in a single sentence")
            ), 1
        return f"{pick(rng, (' in', ' in', ' as', ', in'))} {count}{mood}{what}", many

    def _evidence(self, goods: str, noun: str, verb: str, items: int) -> Evidence:
        rng = self._rng
        count = rng.choices((1, 2, 3, 4, 5), (20, 25, 27, 18, 10))[0]
        if items in (2, 3, 4) and rng.random() < 0.6:
            # That a number is asked for shows only where there is more than that.
            count = rng.randint(items, 5)
        useful = self._useful(count, goods, noun, verb)
        count = len(useful)
        beside = []
        if rng.random() < 0.12 and count < 4:
            for _ in range(rng.randint(1, 2)):
                other = pick(rng, self._lists["nouns"])
                other_verb = pick(rng, tuple(self._policies.verbs))
                beside.append(
                    self._policies.rule(
                        self._policies.pattern(), self._policies.goods(), other, other_verb
                    )
                )
        marks = self._marks(count + len(beside))
        order = [(line, True) for line in useful] + [(line, False) for line in beside]
        if beside and rng.random() < 0.5:
            rng.shuffle(order)
        numbered = tuple((mark, line) for mark, (line, _) in zip(marks, order, strict=True))
        kept = tuple((mark, line) for mark, (line, fits) in zip(marks, order, strict=True) if fits)
        return Evidence(numbered, kept)

    def _marks(self, count: int) -> list[int]:
        rng = self._rng
        roll = rng.random()
        if roll < 0.75:
            return list(range(1, count + 1))
        if roll < 0.88:
            return sorted(rng.choices(range(1, 6), k=count))
        return rng.choices(range(1, 7), k=count)

    def _useful(self, count: int, goods: str, noun: str, verb: str) -> list[str]:
        """Return lines of which some begin alike, as those of real rules do."""
        rng = self._rng
        lines: list[str] = []
        while len(lines) < count:
            if rng.random() < 0.12:
                lines.append(capital(pick(rng, self._clauses.corpus.statements)))
                continue
            pattern = self._policies.pattern()
            lines.append(self._policies.rule(pattern, goods, noun, verb))
            while len(lines) < count and rng.random() < 0.4:
                lines.append(self._policies.rule(pattern, self._policies.goods(), noun, verb))
        return list(dict.fromkeys(lines))

    def _told(
        self, evidence: Evidence, audience: str, name: str, items: int, *, short: bool
    ) -> str:
        lines = [(mark, addressed(line, audience)) for mark, line in evidence.useful]
        if items == 1:
            return _stated(lines[:1])
        if items:
            chosen = lines[:items] if items > 1 else lines
            bullets = "\n".join(f"- {line.rstrip('.')} [{mark}]" for mark, line in chosen)
            return f"{_lead(audience, name)}\n{bullets}"
        said = _stated(lines[:2] if short else lines[:3])
        if audience == "customer":
            return f"{_hello(name)} thank you for your question. {said} {CLOSE}"
        if audience == "colleague":
            return f"Welcome to the team! {said} Just ask us if anything is unclear."
        if audience == "team":
            return f"Hello everyone, here is what you need to know. {said} Thank you all."
        return f"Here is what you need to know. {said}"


def addressed(line: str, audience: str) -> str:
    """Return a sentence of a document as it is said to somebody: "Customers may" → "You may"."""
    line = line.replace(" | ", ": ")
    if audience == "customer":
        line = _CUSTOMER.sub(lambda found: "You" if found[0][0] == "C" else "you", line)
        line = line.replace("a customer's", "your").replace("per customer", "per customer")
    elif audience in ("colleague", "team"):
        line = _EMPLOYEE.sub(lambda found: "You" if found[0][0] in "EA" else "you", line)
    return line


_CUSTOMER: Final = re.compile(r"\b[Cc]ustomers\b(?= (?:may|can|need|pay|receive|should|must))")
_EMPLOYEE: Final = re.compile(
    r"\b(?:All employees|[Ee]mployees)\b(?= (?:may|can|need|receive|show|must|cannot))"
)


def _stated(lines: list[tuple[int, str]]) -> str:
    return " ".join(f"{line.rstrip('.')} [{mark}]." for mark, line in lines)


def _lead(audience: str, name: str) -> str:
    if audience == "customer":
        return f"{_hello(name)} thank you for your question. Here is the answer:"
    if audience == "colleague":
        return "Welcome to the team! Here is what you need to know:"
    return "Here is what you need to know:"


def _hello(name: str) -> str:
    return f"Hello {name}," if name else "Hello,"


def _tidy(text: str) -> str:
    text = re.sub(r"\ba(?= [aeiou])", "an", " ".join(text.split(" ")))
    text = re.sub(r" +", " ", text)
    return re.sub(r" ([.,?!:])", r"\1", text).replace("an an", "an")
