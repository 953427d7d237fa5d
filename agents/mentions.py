"""What a turn names: "the Hobsons House", “Returns policy”, INC-1042. By its letters alone.

No list of names, no model: a capital letter where the grammar asks for none, quotation marks, and a
digit among letters are what marks a name in every field.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["name", "code", "adjective", "phrase"]

MAX_WORDS: Final = 8
"""Of one name; a longer run of capitals is a headline."""

MAX_KNOWN: Final = 64
"""Names from other turns that are looked for."""

MAX_READ: Final = 1_500
"""Characters of a turn that are read."""

_CALENDAR: Final = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|christmas|easter|spring|summer|autumn|winter)"
)
_GRAMMAR: Final = """
a an the this that these those my your our their his her its i i'm i've i'd i'll im we we're
we've you you're they they're he she it it's there there's here here's what what's which who
whom whose when where why how is are am was were be been do does did don't doesn't didn't can
could may might must shall should will would have has had and or but so if then than also as at
by for from in into of off on onto out over per since to under until up via with within without
about after before between during not no yes yeah yep nope ok okay sure thanks thank thx hi
hello hey please sorry great good perfect nice cool alright all any both either neither each
every some several many much more most other another such one two three four five six let let's
just only now today tomorrow tonight because while though although however unfortunately
actually certainly absolutely definitely sounds glad happy welcome anything something nothing
everything someone anyone everyone maybe perhaps dear cheers bye goodbye ah oh well awesome
excellent wonderful wow hmm indeed currently again still yet first second last next tell show
give find look looking need want book make see get got go try check know think ask am pm
"""
_FUNCTION: Final = frozenset(_GRAMMAR.split())
"""Words that name nothing, capital letter or not: grammar, courtesies, and the verbs of a wish."""

_WORD = re.compile(r"[^\W_](?:[\w'’&-]|\.(?=\w))*", re.UNICODE)
_WORD_OR_MARK = re.compile(rf"{_WORD.pattern}|[^\w\s]")
_FOOTNOTE = re.compile(r"\[\d+\]|\*\*|__|`")
_JOINS = re.compile(
    r"\s+(?:(?:of|and|&|by|from|for|at|de|la|le|les|du|des|der|von|van|y|et|n)\s+)?"
    r"(?:(?:the|la|le|der)\s+)?"
)
"""What may stand between the words of one name: "Bank of the West", "Home from Home"."""

_SENTENCE_END = re.compile(r"(?:^|[.!?:;…\n\-–(]|\d\))[\s\"“”'’*•]*$")
_QUOTED = re.compile(r"[“\"]([^“”\"\n]{2,80})[”\"]|(?<!\w)[‘']([^‘’'\n]{3,80})[’'](?!\w)")
_CODE = re.compile(
    r"(?<![\w-])#?(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*(?![\w-])|#\d+"
)
_OF_A_PEOPLE = re.compile(r"[A-Z][a-z]+(?:ese|ish|[eic]an)")
_ADJUNCT = re.compile(
    r"\b(?:in|on|from|to|into|via|by|under|through|within|of|with|using|per|near)"
    r"\s+(?:the\s+)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name where it stands in a turn.

    Attributes:
        text: As written, without an article.
        start: Offset in the turn, in code points.
        kind: ``code`` for identifiers, ``adjective`` for words such as "Chinese", ``phrase`` for
            what is only known to be a name from elsewhere.
        adjunct: It stands behind a preposition, so the sentence is about something else.
    """

    text: str
    start: int
    kind: Kind
    adjunct: bool = False

    @property
    def end(self) -> int:
        """Where it ends, in code points."""
        return self.start + len(self.text)


def mentions(turn: str, known: Collection[str] = ()) -> list[Mention]:
    """Return what a turn names, in order.

    Args:
        turn: Read up to `MAX_READ` characters.
        known: Names from other turns; they are recognised in lower case, and one that begins a
            sentence needs no second word.
    """
    text = turn[:MAX_READ]
    found = [*_quoted(text), *_codes(text), *_capitalised(text, known), *_known(text, known)]
    found.sort(key=lambda one: (one.start, -len(one.text)))
    kept: list[Mention] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def phrases(turn: str) -> list[str]:
    """Return the runs of words between grammar and punctuation, in order: "clean bathrooms".

    Rose et al., "Automatic keyword extraction from individual documents", 2010, without its
    ranking: a search engine knows better which of them are rare.

    Args:
        turn: Read up to `MAX_READ` characters.
    """
    text = _FOOTNOTE.sub(" ", turn[:MAX_READ])
    runs: list[list[str]] = [[]]
    for found in _WORD_OR_MARK.finditer(text):
        token = found[0]
        if token.lower().replace("’", "'") in _FUNCTION or not token[0].isalnum():
            runs.append([])
        else:
            runs[-1].append(token)
    return [" ".join(run) for run in runs if run]


def _quoted(text: str) -> Iterator[Mention]:
    for found in _QUOTED.finditer(text):
        group = 1 if found.group(1) else 2
        if len(found.group(group).split()) <= MAX_WORDS:
            yield _mention(text, found.start(group), found.end(group), "name")


def _codes(text: str) -> Iterator[Mention]:
    for found in _CODE.finditer(text):
        yield _mention(text, found.start(), found.end(), "code")


def _known(text: str, known: Collection[str]) -> Iterator[Mention]:
    if not known:
        return
    # One pattern for all, the longest first; sorted, so that `re` finds it compiled.
    names = sorted(known, key=lambda name: (-len(name), name))[:MAX_KNOWN]
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)"
    for found in re.finditer(pattern, text, re.IGNORECASE):
        yield _mention(text, found.start(), found.end(), "phrase")


def _capitalised(text: str, known: Collection[str]) -> Iterator[Mention]:
    if text.isupper():
        return
    single = {name.lower() for name in known}
    run: list[re.Match[str]] = []
    for word in [*_WORD.finditer(text), None]:
        if word is not None and _names(word, text):
            if run and (
                not _JOINS.fullmatch(text, run[-1].end(), word.start()) or len(run) == MAX_WORDS
            ):
                yield from _named(text, run, single)
                run = []
            run.append(word)
        elif run and (word is None or not _may_join(word[0])):
            yield from _named(text, run, single)
            run = []


def _names(word: re.Match[str], text: str) -> bool:
    token = word[0]
    if not token[0].isupper() and not re.search(r"[a-z][A-Z]", token):
        return False
    if re.fullmatch(_CALENDAR, token, re.IGNORECASE):
        return False
    # "18 GBP": a unit, not a name.
    if token.isupper() and re.search(r"\d\s*$", text[max(0, word.start() - 4) : word.start()]):
        return False
    return token.lower().replace("’", "'") not in _FUNCTION


def _may_join(token: str) -> bool:
    return bool(_JOINS.fullmatch(f" {token} "))


def _named(text: str, run: list[re.Match[str]], single: set[str]) -> Iterator[Mention]:
    first, last = run[0], run[-1]
    start, end = first.start(), last.end()
    if text[end - 2 : end] in ("'s", "’s"):
        end -= 2
    name = text[start:end]
    begins = _SENTENCE_END.search(text[max(0, start - 12) : start]) is not None
    telling = re.search(r"[a-z][A-Z]|^[A-Z]{2,}", first[0]) is not None
    if begins and len(run) == 1 and not telling and name.lower() not in single:
        return
    adjective = len(run) == 1 and _OF_A_PEOPLE.fullmatch(name)
    yield _mention(text, start, end, "adjective" if adjective else "name")


def _mention(text: str, start: int, end: int, kind: Kind) -> Mention:
    adjunct = _ADJUNCT.search(text[max(0, start - 24) : start]) is not None
    return Mention(text[start:end], start, kind, adjunct)
