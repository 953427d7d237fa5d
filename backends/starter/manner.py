"""One message, said in several manners: informal, plain and cold as sources; formal, friendly,
short and warm as targets.

Sources are drawn at random, targets follow from the message by rule alone: the same message always
has the same target, which is what lets a small model learn the rule instead of the sentences.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backends.starter.clauses import Clause, Clauses, Kind
from backends.starter.lexicon import pairs, pick, read_lists
from backends.starter.padding import Padding
from backends.starter.policies import Policies
from backends.starter.wording import (
    behind_greeting,
    chained,
    friendly_greeting,
    lower_start,
    neutral_greeting,
    put,
    replaced,
    sentence,
    spoilt,
    stiff_greeting,
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a short text says.

    Attributes:
        clauses: In order, at least one.
        greets: Nobody (empty), ``all`` (a group), ``someone``, or a person by name.
        apology: Whether it says sorry.
        thanks: Whether it says thanks.
    """

    clauses: tuple[Clause, ...]
    greets: str = ""
    apology: bool = False
    thanks: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clause stands in a warm answer.

    Attributes:
        first: In front of all.
        last: Behind all, in an answer that may be long.
        sorry: Behind one that said sorry.
    """

    first: bool
    last: bool
    sorry: bool


class Manners:
    """Says a message in one manner or another."""

    def __init__(self, clauses: Clauses, policies: Policies) -> None:
        self._clauses = clauses
        self._policies = policies
        self._padding = Padding(clauses.rng)
        self._rng: random.Random = clauses.rng
        self._lists = read_lists("manner")
        self._contractions = pairs(self._lists["contractions"])
        self._formal = pairs(self._lists["safe pairs"])
        self._casual = {
            right: left for left, right in self._formal.items() if left not in _ODD | _ODD_TOO
        }
        good = sorted(self._lists["good news"], key=len, reverse=True)
        self._good = re.compile(rf" (?:{'|'.join(good)})\b")
        self._expansions = {right: left for left, right in self._contractions.items()}

    def message(self, most: int = 3) -> Message:
        """Return a message of up to ``most`` clauses."""
        rng = self._rng
        count = rng.choices((1, 2, 3), (45, 40, 15))[0]
        clauses = tuple(self._clause() for _ in range(min(count, most)))
        greets = rng.choices(("", "all", "someone", "name"), (40, 25, 15, 20))[0]
        if greets == "name":
            greets = pick(rng, self._clauses.lists["first"])
        return Message(clauses, greets, apology=rng.random() < 0.25, thanks=rng.random() < 0.3)

    def _clause(self) -> Clause:
        return self._policies.clause() if self._rng.random() < 0.15 else self._clauses.clause()

    # Sources

    def informal(self, message: Message) -> str:
        """Say it as people chat; every draw differs."""
        said = [self._greeting(message.greets)] if message.greets else []
        for at, clause in enumerate(message.clauses):
            said.append(self._chatty(clause, note=at == 0))
        text = chained(said)
        if message.apology:
            text = self._added(text, "apologies informal")
        if message.thanks:
            text = self._added(text, "thanks informal")
        if self._rng.random() < 0.12:
            text = f"{text} {self._of('ends informal')}"
        return spoilt(text, self._rng)

    def plain(self, message: Message) -> str:
        """Say it in neutral words."""
        said = [f"{neutral_greeting(message.greets)}"] if message.greets else []
        said += [sentence(self._spoken(clause)) for clause in message.clauses]
        if message.apology:
            said.append(pick(self._rng, ("I am sorry about that.", "We are sorry.", "Sorry.")))
        if message.thanks:
            said.append(pick(self._rng, ("Thank you.", "Thanks.", "Many thanks.")))
        return " ".join(said)

    def stiff(self, message: Message) -> str:
        """Say it as letters of authorities do; every draw differs."""
        opener = pick(
            self._rng, ("Good day,", "Dear Sir or Madam,", "Dear customer,", "Dear guest,")
        )
        said = [stiff_greeting(message.greets, opener)] if message.greets else []
        for at, clause in enumerate(message.clauses):
            said.append(self._official(clause, note=at == 0))
        if message.apology:
            said.append(self._of("apologies formal"))
        if message.thanks:
            said.append(self._of("thanks formal"))
        return behind_greeting(said)

    def wordy(self, message: Message) -> str:
        """Say it with many words that carry nothing; every draw differs."""
        rng = self._rng
        said = [neutral_greeting(message.greets)] if message.greets else []
        for at, clause in enumerate(message.clauses):
            said.append(self._padding.padded(clause, lead=at == 0))
        if rng.random() < 0.3:
            said.append(self._padding.courtesy())
        return " ".join(said)

    def cold(self, message: Message) -> str:
        """Say it curtly, as one should not to a customer; every draw differs."""
        return " ".join(self._curt(clause) for clause in message.clauses)

    # Targets

    def formal(self, message: Message, *, short: bool = False) -> str:
        """Say it formally; shorter without the courtesies that carry nothing."""
        said = []
        if message.greets and not short:
            said.append(stiff_greeting(message.greets, "Good day,"))
        noted = short
        for clause in message.clauses:
            text = self._mapped(clause.brief if short else clause.full, self._formal)
            if clause.kind in ("imperative", "prohibition"):
                said.append(f"Please {text}.")
            elif clause.kind == "question":
                asked = text if short else f"we would be grateful to know: {text}"
                said.append(sentence(asked, "?"))
            else:
                if clause.kind == "refusal":
                    text = f"we are unable to {text}"
                said.append(sentence(text if noted else f"please be informed that {text}"))
                noted = True
        if message.apology:
            said.append("Apologies for the inconvenience." if short else _REGRET)
        if message.thanks and not short:
            said.append("Thank you very much.")
        return behind_greeting(said)

    def friendly(self, message: Message, *, short: bool = False) -> str:
        """Say it as a friendly colleague would."""
        greeting = friendly_greeting(message.greets)
        said: list[str] = []
        for at, clause in enumerate(message.clauses):
            text = self._contracted(
                self._mapped(clause.brief if short else clause.full, self._casual)
            )
            said.append(_FRIENDLY[clause.kind](text, at == 0 and not short))
        if message.apology and not short:
            said.append("Sorry about that.")
        begins_small = not message.clauses[0].text[:1].isupper()
        said[0] = f"{said[0][0].lower()}{said[0][1:]}" if begins_small else lower_start(said[0])
        said.append("Thanks so much!" if _asks(message) or message.thanks else "Have a lovely day!")
        return f"{greeting} {' '.join(said)}"

    def short(self, message: Message) -> str:
        """Say it in as few words as it needs."""
        said = []
        for clause in message.clauses:
            text = self._mapped(clause.brief, {})
            if clause.kind in ("imperative", "prohibition"):
                said.append(f"Please {text}.")
            elif clause.kind == "question":
                said.append(sentence(text, "?"))
            else:
                said.append(sentence(f"we cannot {text}" if clause.kind == "refusal" else text))
        return " ".join(said)

    def warm(self, message: Message, *, short: bool = False) -> str:
        """Say it in the brand voice: sorry once and first, please, and what comes next."""
        said: list[str] = []
        sorry = False
        for at, clause in enumerate(message.clauses):
            last = at == len(message.clauses) - 1
            text = self._mapped(clause.brief if short else clause.full, {})
            place = Place(first=at == 0, last=last and not short, sorry=sorry)
            said.append(self._kind(clause.kind, text, place))
            sorry = sorry or clause.kind in ("problem", "refusal")
        if not short:
            said.append("Thank you for your patience." if sorry else "We are glad to help.")
        return " ".join(said)

    def _kind(self, kind: Kind, text: str, place: Place) -> str:
        if kind == "problem":
            return sentence(
                f"it is a pity, too, that {text}" if place.sorry else f"we are sorry that {text}"
            )
        if kind == "refusal":
            return f"We cannot {text}, but we can look for another way together with you."
        if kind == "accusation":
            return sentence(f"it seems that {text}")
        if kind in ("imperative", "prohibition"):
            hand = ", and write to us any time if you need a hand" if place.last else ""
            return f"Please {text}{hand}."
        if kind == "question":
            return f"May we ask: {text}?"
        if kind == "fact" and self._good.search(text):
            return sentence(f"good news: {text}")
        return sentence(f"just so you know, {text}" if place.first else text)

    def _spoken(self, clause: Clause) -> str:
        if clause.kind == "refusal":
            return f"we cannot {clause.full}"
        if clause.kind == "imperative":
            return pick(self._rng, ("please {v}", "{v}")).replace("{v}", clause.full)
        return f"{clause.full}?" if clause.kind == "question" else clause.full

    def _chatty(self, clause: Clause, *, note: bool) -> str:
        rng = self._rng
        text = self._casually(clause.full)
        if clause.kind == "imperative":
            return put(self._of("requests informal"), text)
        if clause.kind == "prohibition":
            return pick(rng, ("pls {v}", "{v}", "{v}, ok?", "just {v}")).replace("{v}", text)
        if clause.kind == "question":
            return pick(rng, ("{v}?", "so {v}?", "btw {v}?", "{v}??")).replace("{v}", text)
        if clause.kind == "refusal":
            text = pick(rng, ("we can't {v}", "no way we can {v}", "we won't {v}", "we cannot {v}"))
            text = text.replace("{v}", self._casually(clause.full))
        text = self._filled(text)
        if text.startswith(("I", "we ", "it ")) and rng.random() < 0.35:
            return self._without_subject(text)
        if note and rng.random() < 0.4:
            return f"{self._of('notes informal')} {text}"
        if rng.random() < 0.3:
            return f"{self._of('fillers front')} {text}"
        return text

    def _without_subject(self, text: str) -> str:
        """Leave out who does it, as chats do: "gonna be late"."""
        starts = [one for one in _DROPPED if text.startswith(one[0])]
        if not starts:
            return text
        full, left = starts[self._rng.randrange(len(starts))]
        return left + text[len(full) :]

    def _official(self, clause: Clause, *, note: bool) -> str:
        text = self._mapped(clause.full, self._formal if self._rng.random() < 0.7 else {})
        if clause.kind == "imperative":
            return put(self._of("requests formal"), text)
        if clause.kind == "prohibition":
            return f"{pick(self._rng, ('Please', 'Kindly', 'We ask you:'))} {text}."
        if clause.kind == "question":
            return sentence(text, "?")
        if clause.kind == "refusal":
            text = pick(
                self._rng, ("we are unable to {v}", "it is not possible to {v}", "we cannot {v}")
            )
            text = text.replace("{v}", clause.full)
        if note and self._rng.random() < 0.6:
            return sentence(f"{self._of('notes formal')} {text}")
        return sentence(text)

    def _curt(self, clause: Clause) -> str:
        text = clause.full
        bare = _BARE.match(text)
        if bare and self._rng.random() < 0.5:
            # As notes are written in a hurry: "Order ready." is "the order is ready".
            return sentence(f"{bare[1]} {text[bare.end() :]}", pick(self._rng, (".", ".", "", "!")))
        if self._rng.random() < 0.3:
            text = self._contracted(text)
        if clause.kind == "imperative":
            return put(self._of("cold imperatives"), text)
        if clause.kind == "prohibition":
            return sentence(text, pick(self._rng, (".", ".", "!")))
        if clause.kind == "refusal":
            return put(self._of("cold refusals"), text)
        if clause.kind == "question":
            return put(self._of("cold questions"), text)
        return sentence(text, pick(self._rng, (".", ".", ".", "!")))

    def _casually(self, text: str) -> str:
        text = self._contracted(text) if self._rng.random() < 0.7 else text
        return self._mapped(text, self._casual, expand=False) if self._rng.random() < 0.5 else text

    def _filled(self, text: str) -> str:
        """Put a filler behind the first auxiliary, where one may stand."""
        if self._rng.random() < 0.6:
            return text
        found = _AUXILIARY.search(text)
        if not found:
            return text
        return f"{text[: found.end()]} {self._of('fillers inside')}{text[found.end() :]}"

    def _greeting(self, greets: str) -> str:
        if greets not in ("all", "someone"):
            return pick(self._rng, ("Hey {n}", "Hi {n}", "Hello {n}", "Morning {n}")).replace(
                "{n}", greets
            )
        group = greets == "all"
        options = [
            one
            for one in self._lists["openers informal"]
            if "{" not in one and bool(_GROUP.search(one)) == group
        ]
        return pick(self._rng, options)

    def _added(self, text: str, key: str) -> str:
        return f"{text}{pick(self._rng, (', ', '. ', '! ', ' - '))}{self._of(key)}"

    def _mapped(self, text: str, words: Mapping[str, str], *, expand: bool = True) -> str:
        if expand:
            text = replaced(text, self._expansions)
        return replaced(text, words)

    def _contracted(self, text: str) -> str:
        return replaced(text, self._contractions)

    def _of(self, key: str) -> str:
        return pick(self._rng, self._lists[key])


_CHATTY: Final = """
u ur pls cuz cos ASAP asap tmrw dunno gotta wanna gonna stuff nope get got
"""
_ODD: Final = frozenset(_CHATTY.split()) | {"tons of", "loads of", "a bunch of", "go over"}
_ODD_TOO: Final = frozenset(("hand in", "find out"))
_DROPPED: Final = (
    ("I will ", "gonna "), ("I will ", "will "), ("I'll ", "gonna "), ("I'll ", "will "),
    ("I am ", ""), ("I'm ", ""), ("I cannot ", "can't "), ("I can't ", "can't "),
    ("I need ", "need "), ("I have ", "have "), ("I've ", ""), ("I want to ", "wanna "),
    ("I would like ", "would like "), ("I do not ", "don't "), ("I don't ", "don't "),
    ("I forgot ", "forgot "), ("I lost ", "lost "), ("we need ", "need "), ("we will ", "will "),
    ("it is ", ""), ("it's ", ""), ("it will ", "will "),
)  # fmt: skip
"""What a sentence begins with, and what is left of it where nobody says who."""

_REGRET: Final = "We apologise for the inconvenience."
_BARE: Final = re.compile(r"the ((?:[\w<>-]+ ){0,3}[\w<>-]+) (?:is|are) (?=\w)")
_GROUP: Final = re.compile(r"team|guys|all\b|everyone|everybody|folks", re.IGNORECASE)
_AUXILIARY: Final = re.compile(
    r"\b(?:is|are|was|has|have|will|can|cannot|do not|does not|am|I'm|we're|it's|don't|isn't"
    r"|hasn't)\b"
)


def _asks(message: Message) -> bool:
    return any(clause.kind in ("imperative", "prohibition") for clause in message.clauses)


_FRIENDLY: Final = {
    "problem": lambda text, note: sentence(f"just a quick note that {text}" if note else text),
    "fact": lambda text, note: sentence(f"just a quick note that {text}" if note else text),
    "statement": lambda text, note: sentence(f"just a quick note that {text}" if note else text),
    "accusation": lambda text, note: sentence(f"just a quick note that {text}" if note else text),
    "imperative": lambda text, note: sentence(f"could you please {text}", "?"),
    "prohibition": lambda text, note: sentence(f"please {text}"),
    "refusal": lambda text, note: sentence(f"sorry, we can't {text}"),
    "question": lambda text, note: sentence(text, "?"),
}
