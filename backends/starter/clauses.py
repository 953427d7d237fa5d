"""Plain clauses in great variety: the facts and requests that the skills put into other words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from backends.starter.corpus import Corpus
from backends.starter.lexicon import Lists, fill, pick, read_lists

Kind: TypeAlias = Literal[
    "problem",
    "fact",
    "statement",
    "imperative",
    "prohibition",
    "refusal",
    "accusation",
    "question",
]

TROUBLE: Final = ("late", "damage", "fit", "stock", "other")
"""Kinds of problems; what a reply offers depends on them."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is said, in neutral words, without a capital letter or a full stop.

    Attributes:
        kind: What it does.
        text: What it says; imperatives and refusals begin with the bare verb.
        trouble: Of a problem, which kind, see `TROUBLE`.
        tail: What is said besides, with the space before it; may be left out.
    """

    kind: Kind
    text: str
    trouble: str = ""
    tail: str = ""

    @property
    def full(self) -> str:
        """Everything that it says."""
        return self.text + self.tail

    @property
    def brief(self) -> str:
        """The same without a reason or an aside that holds no fact."""
        return self.text if _ASIDE.match(self.tail) else self.full


class Clauses:
    """Composes clauses; every draw comes from one random generator."""

    def __init__(self, rng: random.Random, corpus: Corpus) -> None:
        self.rng = rng
        self.corpus = corpus
        self.lists: Lists = read_lists("clauses")
        self._singular = [
            noun for noun in corpus.nouns if not noun.endswith("s") or noun.endswith("ss")
        ]
        self._blanks: dict[str, Callable[[], str]] = {
            "thing": self.thing,
            "things": self.things,
            "kind": self.kind,
            "person": lambda: self._of("people"),
            "name": self.name,
            "first": lambda: self._of("first"),
            "place": lambda: self._of("places"),
            "brand": lambda: self._of("brands"),
            "num": self.number,
            "amount": self.amount,
            "date": self.date,
            "time": self.time,
            "code": self.code,
            "fact": lambda: self._of("facts"),
        }

    def fill(self, pattern: str, **more: Callable[[], str]) -> str:
        """Fill the blanks of a pattern; ``more`` are blanks besides the usual ones."""
        return fill(pattern, {**self._blanks, **more})

    def clause(self, kind: Kind | None = None) -> Clause:
        """Return a clause, of any kind unless one is named."""
        kind = kind or self.rng.choices(
            ("problem", "fact", "statement", "imperative", "prohibition", "refusal", "accusation",
             "question"),
            (24, 18, 16, 18, 3, 9, 6, 6),
        )[0]  # fmt: skip
        if kind == "problem":
            return self._problem()
        if kind == "fact":
            return self._fact()
        if kind == "statement":
            return self._statement()
        pattern = self._of(f"{kind}s")
        return Clause(kind, self.fill(pattern), tail=self._tail(0.2))

    def natural(self) -> Clause:
        """Return a statement from the corpus."""
        text = pick(self.rng, self.corpus.statements)[:-1]
        plural = _PLURAL_FIRST.match(text)
        return Clause("statement", text[0].lower() + text[1:] if plural else lower_first(text))

    def subject(self, *, owner: str | None = None) -> str:
        """Return what a clause in the singular is about."""
        owner = owner or pick(self.rng, ("your", "your", "your", "the", "the", "our", "my"))
        roll = self.rng.random()
        if roll < 0.25:
            return f"{owner} {self.kind()} {self.thing()}"
        if roll < 0.3:
            return f"{owner} {self._of('brands')} {self.thing()}"
        if roll < 0.34:
            return self.fill(f"{owner} {{thing}} from {{place}}")
        if roll < 0.38:
            return self.fill(f"{owner} {{thing}} {{code}}")
        return f"{owner} {self.thing()}"

    def trouble(self) -> tuple[str, str]:
        """Return a kind of trouble and what is said of a single thing that has it."""
        trouble = self.rng.choices(TROUBLE, (4, 5, 2, 2, 3))[0]
        while True:
            said = self._of(f"problems {trouble}")
            if not _PLURAL.match(said):
                return trouble, self.fill(said)

    def thing(self) -> str:
        """Return a noun; a third of them are any noun of the corpus, a few are no word at all."""
        roll = self.rng.random()
        if roll < 0.62:
            return self._of("things")
        if roll < 0.96:
            return pick(self.rng, self._singular)
        return self.no_word()

    def things(self) -> str:
        """Return a noun in the plural."""
        return self._of("many")

    def kind(self) -> str:
        """Return an adjective."""
        return self._of("kinds")

    def no_word(self) -> str:
        """Return something that could be a word."""
        return "".join(
            pick(self.rng, _ONSETS) + pick(self.rng, _VOWELS) + pick(self.rng, _CODAS)
            for _ in range(self.rng.randint(2, 3))
        )

    def number(self) -> str:
        """Return a number in digits."""
        roll = self.rng.random()
        if roll < 0.7:
            return str(self.rng.randint(2, 60))
        return str(self.rng.choice((90, 100, 120, 250, 300, 365, 450, 1_000, 2_500, 12_000)))

    def amount(self) -> str:
        """Return a price."""
        sign = pick(self.rng, ("€", "£", "€", "£", "$"))
        pence = pick(self.rng, ("", "", ".50", ".99", ".00", ".95"))
        return f"{sign}{self.rng.randint(2, 400)}{pence}"

    def date(self) -> str:
        """Return a day."""
        roll = self.rng.random()
        if roll < 0.4:
            return self._of("days")
        day = f"{self.rng.randint(1, 28)} {self._of('months')}"
        return day if roll < 0.85 else f"{day} {self.rng.randint(2024, 2027)}"

    def time(self) -> str:
        """Return a time of the day."""
        hour = self.rng.randint(7, 20)
        return pick(
            self.rng,
            (f"{hour}:{self.rng.choice(('00', '15', '30', '45'))}", f"{hour % 12 + 1} pm",
             f"{hour % 12 + 1}am"),
        )  # fmt: skip

    def name(self) -> str:
        """Return a person's name."""
        roll = self.rng.random()
        if roll < 0.4:
            return self._of("first")
        if roll < 0.7:
            return f"{pick(self.rng, ('Mrs', 'Mr', 'Ms', 'Dr'))} {self._of('last')}"
        return f"{self._of('first')} {self._of('last')}"

    def code(self) -> str:
        """Return a code or an address."""
        number = self.rng.randint(100, 99_999)
        letters = "".join(self.rng.choices("ABCDEFGHKLMNPRSTW", k=2))
        word = self._of("things").split()[-1]
        return pick(
            self.rng,
            (f"{letters}-{number}", f"{letters}{number}", f"{word}@shop.example",
             f"{word}{number}@mail.example", f"https://{word}.example"),
        )  # fmt: skip

    def _problem(self) -> Clause:
        if self.rng.random() < 0.2:
            trouble = pick(self.rng, TROUBLE)
            plural = [one for one in self.lists[f"problems {trouble}"] if _PLURAL.match(one)]
            if plural:
                owner = pick(self.rng, ("your", "the", "your new"))
                said = self.fill(pick(self.rng, plural))
                return Clause("problem", f"{owner} {self.things()} {said}", trouble)
        trouble, said = self.trouble()
        return Clause("problem", f"{self.subject()} {said}", trouble, self._tail(0.25))

    def _fact(self) -> Clause:
        if self.rng.random() < 0.25:
            said = self._of("plurals of facts")
            owner = pick(self.rng, ("your ", "the ", "our ", "all ", "", "", f"{self.kind()} "))
            return Clause("fact", self.fill(f"{owner}{{things}} {said}"), tail=self._tail(0.2))
        return Clause(
            "fact", f"{self.subject()} {self.fill(self._of('facts'))}", "", self._tail(0.2)
        )

    def _statement(self) -> Clause:
        if self.rng.random() < 0.45:
            return self.natural()
        return Clause("statement", self.fill(self._of("statements")), tail=self._tail(0.3))

    def _tail(self, share: float) -> str:
        if self.rng.random() >= share:
            return ""
        return f" {self.fill(self._of('tails'))}"

    def _of(self, key: str) -> str:
        return pick(self.rng, self.lists[key])


_ASIDE: Final = re.compile(r" (?:because|since|so that|and|but)\b[^A-Z0-9€£$@]*$")
_PLURAL: Final = re.compile(r"(?:are|have|do|need|come)\b")
_PLURAL_FIRST: Final = re.compile(
    r"[A-Z][a-z]+s (?:[a-z]+ ){0,3}(?:are|have|must|may|can|cannot|need|will)\b"
)
_KEEPS_CAPITAL: Final = re.compile(r"I\b|[A-Z]{2}|[A-Z]\d")
_ONSETS: Final = tuple("b c d f g h k l m n p r s t v w br st tr pl gr sh ch".split())  # noqa: SIM905
_VOWELS: Final = ("a", "e", "i", "o", "u", "ai", "ea", "oo")
_CODAS: Final = ("", "", "n", "r", "l", "t", "s", "ck", "m")
_STARTS: Final = """
the a an my our your we you it there this that they he she all every no some his her their these
those nobody everyone what when where which how who why is are did do does have can could will would
please in on at for if and but so because as after before not it's we're you're they're there's
that's he's she's we've you've they've we'll you'll it'll
we'd you'd he'd she'd they'd
"""
_SMALL: Final = frozenset(_STARTS.split())


def lower_first(text: str) -> str:
    """Return the text with a small letter in front, unless it is a name that stands there."""
    first = text.split(" ", 1)[0].strip(",.!?").lower()
    if first not in _SMALL or _KEEPS_CAPITAL.match(text):
        return text
    return text[:1].lower() + text[1:]
