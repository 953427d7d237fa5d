"""What in a text must be copied exactly: numbers, dates and times, names, codes. By its letters.

No model and no list of names. A digit, an at-sign or a month gives a fact away; a name is a word
with a capital letter where grammar asks for none. Linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

FactKind: TypeAlias = Literal["n", "d", "p", "c"]
"""Number or amount; date or time; name of a person, place, product, brand; code, address, link."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Where a fact stands: ``text[start:end]``, units and currency signs not included."""

    kind: FactKind
    start: int
    end: int


def facts_in(text: str, known: Collection[str] = ()) -> list[Fact]:
    """Return the facts of a text in order; they do not overlap.

    Marks of citations (``[1]``) and the numbers of a list's items are none, nor are spelled-out
    numbers. A single capitalised word that begins a sentence is a name only where it also stands
    within one, or is known.

    Args:
        text: Of any length.
        known: Names from elsewhere.
    """
    found: list[Fact] = []
    names: list[_Name] = []
    run: list[re.Match[str]] = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind == "word" and _may_name(match):
            if run and (len(run) == MAX_NAME_WORDS or not _joined(text, run[-1], match)):
                names.extend(_named(text, run))
                run = []
            run.append(match)
            continue
        if run and not (kind in ("word", "plain") and match[0].lstrip() in _JOINERS):
            names.extend(_named(text, run))
            run = []
        if kind in _FACTS and not (kind == "quoted" and match[0].lower() in _NAMES_NOTHING):
            found.append(Fact(_FACTS[kind], match.start(), match.end()))
    names.extend(_named(text, run))
    firm = {text[one.start : one.end] for one in names if one.firm}.union(known)
    found.extend(
        Fact("p", one.start, one.end)
        for one in names
        if one.firm or text[one.start : one.end] in firm
    )
    return sorted(found, key=lambda one: one.start)


def begins_sentence(text: str, start: int) -> bool:
    """Whether a word that begins at ``start`` begins a sentence, a line, a quotation or a cell."""
    at = start - 1
    while at >= 0 and text[at] in _BETWEEN:
        at -= 1
    if at < 0 or text[at] in "\n.!?:;…|•":
        return at < 0 or text[at] != "." or not _TITLE.search(text, max(0, at - 5), at + 1)
    if text[at] in '"“„«‚‘' or _ITEM.search(text, max(0, start - 32), start):
        return True
    # A dash between words, not within one.
    return text[at] in "-–—" and at + 1 < start


MAX_NAME_WORDS: Final = 6

_MONTH: Final = (
    r"(?:(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\b|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b(?:\.(?=,?[ ]?[\da-z]))?)"
)
_BEFORE_MONTH: Final = "|".join(
    f"(?<={word} )" for word in ("in", "by", "of", "to", "and", "until", "since", "from", "end")
)
_DAY: Final = (
    r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tues?|Wed|Thu(?:rs?)?|Fri|"
    r"Sat|Sun)"
)
_ORDINAL: Final = r"(?:st|nd|rd|th)"
_NOON: Final = r"[ \u00a0\u202f]?(?:[ap]\.m\.|[ap]m\b|[AP]M\b|o['’]clock\b|Uhr\b)"
_YEAR: Final = r"(?:,?[ \u00a0](?:1[6-9]|20|21)\d\d\b)"
_UNIT: Final = (
    r"(?:[kKMGT]?[BbWVgGLmM]|[kcmKCM]?[mMgGlL]{1,2}|[kK]m/h|[kK][wW]h|h|min|s|ms|x|EUR|USD|GBP|CHF|"
    r"SEK|px|pt|pcs?|k|m|bn)\b"
)
_QUOTED_WORD: Final = r"[^\W\d_a-zß-öø-ÿ][\w'’&-]{0,30}"
_FREE: Final = r"(?<![\w.@-])"
"""Nothing goes on here; also what keeps long runs of letters from being tried at every place."""

_TOKEN: Final = re.compile(
    "|".join(
        (
            # Most words of most texts, in front of all else because it is fast.
            r"(?P<plain>[ ]?(?<![\w.@+-])[a-zß-öø-ÿ]{1,40}(?=[ ,;!?)\n]))",
            # Marks of slots, of citations, of a list's items: none of them is a fact.
            r"(?P<mark><‹*[ndpc][0-9]{1,2}>"
            r"|\[\^?\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3}){0,8}\]"
            r"|^[ \t]{0,16}(?:[-*+>][ \t]{1,4}){0,4}\d{1,3}[.)](?=[ \t]))",
            r"(?P<code>(?:https?://|www\.)[^\s<>\"'`|\\‹›“”]{1,2000}(?<![.,;:!?)\]*_])"
            rf"|{_FREE}[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,5}}"
            rf"|{_FREE}(?:[\w-]{{1,63}}\.){{1,4}}(?:com|org|net|example|co\.uk|de|fr|es|nl|eu|io|uk|"
            r"shop)\b(?:/[^\s<>\"'`|\\‹›“”]{1,500}(?<![.,;:!?)\]*_]))?"
            r"|(?<!\w)@\w{2,40}|(?<![\w+])\+\d(?:[ ()/-]{0,2}\d){6,14}(?!\w))",
            rf"(?P<date>(?<!\w)(?:{_DAY}\b,?[ ])?\d{{1,2}}{_ORDINAL}?(?:[ ]of)?[ \u00a0]"
            rf"{_MONTH}{_YEAR}?"
            rf"|(?<!\w)(?:{_DAY}\b,?[ ])?{_MONTH}[ \u00a0](?:the[ ])?\d{{1,2}}{_ORDINAL}?"
            rf"(?!\w|[.,]\d){_YEAR}?|(?<!\w){_MONTH}{_YEAR}"
            r"|(?<![\w.,/-])\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)?"
            r"(?![\w-])"
            r"|(?<![\w.,/-])\d{1,2}(?P<dot>[./])\d{1,2}(?P=dot)(?:\d{4}|\d\d)(?![\w/-])"
            rf"|(?<![\w.,:])\d{{1,2}}[:.]\d\d{_NOON}|(?<![\w.,:])\d{{1,2}}{_NOON}"
            r"|(?<![\w.,:])\d{1,2}:\d\d(?::\d\d)?(?![\w:])|(?<![\w.,:])\d{1,2}h\d\d(?!\w))",
            # "Monday" and "August" alone, but neither "Sat down" nor "May I" nor "March on".
            r"(?P<day>(?<!\w)(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|January|February|April|"
            rf"June|July|August|September|October|November|December|(?:{_BEFORE_MONTH})(?:March|May))"
            r"(?![\w-]))",
            # "AB-12345", "X200", "3M"
            r"(?P<mixed>(?<![\w-])(?=[A-Z0-9-]{0,40}[A-Z])(?=[A-Z-]{0,40}\d)"
            rf"(?!\d[\d.,]{{0,20}}{_UNIT})[A-Z0-9]{{1,40}}(?:-[A-Z0-9]{{1,40}}){{0,6}}(?![\w-]))",
            rf"(?P<number>(?<![\w.,])\d{{1,40}}(?:[.,'’\u00a0\u202f]\d{{1,40}}){{0,12}}"
            rf"(?:{_ORDINAL}\b)?(?![^\W\d_]{{3,}}\d))",
            rf"(?P<quoted>(?<=[\"“„«]){_QUOTED_WORD}"
            rf"(?:[ ](?:{_QUOTED_WORD}|\d{{1,6}}|of|and|&|the|de|la)){{0,5}}(?=[\"”»]))",
            r"(?P<word>(?<!\w)[^\W_](?:[\w'’]|[-&.](?=[^\W\d_]))*)",
        )
    ),
    re.MULTILINE,
)
_FACTS: Final[dict[str, FactKind]] = {
    "code": "c",
    "mixed": "c",
    "date": "d",
    "day": "d",
    "number": "n",
    "quoted": "p",
}
_BETWEEN: Final = " \t\u00a0\r*_>#()[]’'”»"
_ITEM = re.compile(r"(?:(?:^|\n)[ \t>*+-]{0,16}\d{1,3}\)|\[\^?\d[\d ,;–-]{0,30}\])[ \t]{1,8}$")
_TITLE = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof|St|Sr|Jr|No|Mx)\.$")
_JOINERS: Final = frozenset(
    ["of", "the", "de", "la", "le", "les", "du", "des", "der", "den", "van", "von", "di", "da"]
)
_JOINS = re.compile(
    r"[ \u00a0](?:(?:of|&|de|la|le|les|du|des|der|den|van|von|di|da)[ ])?"
    r"(?:(?:the|la|le|der)[ ])?"
)
_INNER_CAPITAL = re.compile(r"[a-z][A-Z]|[A-Z]\d|\d[A-Z]")
_TITLED = re.compile(r"(?:Mrs?|Ms|Dr|Prof|St|Mx)$")

# Capital letter or not, these name nothing: grammar, courtesies, nouns of an address.
_GRAMMAR: Final = """
a about above after again all almost already also although always am an and another any anyone
anything are as at be because been before being below best between both but by can cannot could
did do does don't down during each either enough even every everyone everything few first for from
further had has have having he hence her here here's hers him his how however i i'd i'll i'm i've
if in indeed instead into is isn't it it's its itself just last later least less let let's like
may march maybe me meanwhile might
more moreover most much must my neither never new next no none nor not
nothing now of off often ok okay on once one only onto or other our ours out over own per perhaps
quite rather really same second several shall she should since so some someone something soon still
such than that that's the their them then there there's therefore these they they're they've third
this those though three through thus till to today together tomorrow tonight too two under unless
until up upon us very via was we we'd we'll we're we've were what what's when where whether which
while who who's whole whom whose why will with within without would yes yesterday yet you you'd
you'll you're you've your yours
hi hello hey dear thanks thank cheers sorry welcome please kindly regards sincerely goodbye bye
good great nice lovely perfect sure certainly absolutely unfortunately warm kind warmly morning
afternoon evening customer customers team colleague colleagues sir madam friend friends guest
guests shopper shoppers manager faq vat ps fyi asap tbd pdf hr it tv am pm id ceo url json e-mail
email usa-wide
"""
_NAMES_NOTHING: Final = frozenset(_GRAMMAR.split())

# Begin a sentence before a name: "Contact Anna", "Ask Tom".
_WISHES: Final = """
add answer apply ask book bring buy call cancel change check choose click collect come compare
complete confirm contact copy create deliver describe did draft email enter explain fill find
follow forward get give go help inform join keep leave list look mail make meet message note offer
open order pay phone place read remind remove reply report respond return rewrite say see select
send share shop show sign speak start store summarise take talk tell text translate try turn use
visit wait want watch wear when where write
according because besides despite everybody nobody only unlike
"""
_BEFORE_NAMES: Final = frozenset(_WISHES.split())


@dataclass(frozen=True, slots=True)
class _Name:
    start: int
    end: int
    firm: bool


def _may_name(word: re.Match[str]) -> bool:
    token = word[0]
    inner = _INNER_CAPITAL.search(token) is not None
    if not token[0].isupper() and not inner:
        return False
    bare = token.lower().replace("’", "'")
    if bare in _NAMES_NOTHING or bare.removesuffix("'s") in _NAMES_NOTHING:
        return False
    return len(token) > 1 or token.isascii()


def _joined(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    if _TITLED.search(left[0]) and text[left.end() : right.start()] == ". ":
        return True
    return _JOINS.fullmatch(text, left.end(), right.start()) is not None


def _named(text: str, run: Sequence[re.Match[str]]) -> Iterator[_Name]:
    """What of a run of capitalised words is a name, and whether for certain."""
    words = list(run)
    if not words or _shouted(text, words):
        return
    begins = begins_sentence(text, words[0].start())
    if begins and len(words) > 1 and words[0][0].lower() in _BEFORE_NAMES:
        del words[0]
        begins = False
    last = words[-1]
    end = last.end() - (2 if last[0][-2:] in ("'s", "’s") else 0)
    first = words[0]
    telling = _INNER_CAPITAL.search(first[0]) is not None or _acronym(first[0])
    firm = not begins or len(words) > 1 or telling or _signs(text, first.start(), end)
    yield _Name(first.start(), end, firm)


def _acronym(word: str) -> bool:
    return 2 <= len(word) <= 6 and word.isupper()


_LONGEST_ACRONYM: Final = 8
_SHOUTS_BEFORE = re.compile(r"\b[A-Z]{2,20}[ ,!]{1,2}$")
_SHOUTS_AFTER = re.compile(r"[ ,!]{1,2}[A-Z]{2,20}\b")
_SIGN_OFF = re.compile(
    r"\b(?:regards|wishes|sincerely|faithfully|truly|thanks|thank you|cheers|greetings|love|best|"
    r"warmly|soon)[ ]?[,.!]?[ ]?\n[ \t\n]{0,8}$",
    re.IGNORECASE,
)


def _shouted(text: str, words: Sequence[re.Match[str]]) -> bool:
    """Capitals for emphasis: several in a row, or longer than an acronym."""
    upper = [word for word in words if word[0].isupper() and len(word[0]) > 1]
    if not upper:
        return False
    first, last = upper[0], upper[-1]
    return (
        len(upper) > 2
        or any(len(word[0]) > _LONGEST_ACRONYM for word in upper)
        or _SHOUTS_BEFORE.search(text, max(0, first.start() - 24), first.start()) is not None
        or _SHOUTS_AFTER.match(text, last.end()) is not None
    )


def _signs(text: str, start: int, end: int) -> bool:
    """Whether a word stands alone on the line below "Best regards,"."""
    line = text.find("\n", end, end + 4)
    alone = not text[end : line if line >= 0 else end + 4].strip(" .,!")
    return alone and _SIGN_OFF.search(text, max(0, start - 48), start) is not None
