"""What BM25 makes of a text: hashed, stemmed terms and their weights. Pure.

The score of a passage is the inner product of two sparse vectors: the passage's term weights, which
do not depend on other passages, and the question's inverse document frequencies, which do. Hence a
passage is analysed once, and the statistics may change beneath it.

Formula and constants: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and
Beyond", 2009; the inverse document frequency in Lucene's form, which is never negative.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.base import NewPassage

DIMENSIONS = 1_000_000_000
"""Length of the sparse vectors, the most that pgvector allows; terms hardly ever share a place."""

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 120
"""Terms of a typical passage. A constant, so that weights stay true as the corpus grows; passages
are cut to about one size anyway, so the true mean would change little."""

MAX_QUESTION_TERMS = 64
"""Terms of a question that count, the rarest first."""

_MAX_LOOKED_UP = 4_096
_MAX_PASSAGE_TERMS = 16_000
_MAX_TOKEN = 200
_MAX_STEMMED = 40
_UNTOUCHED = 2
"""First letters of a word that stemming leaves alone ("dying" becomes "die", "skies" "sky")."""

_WORD = re.compile(r"\w+")

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\U00020000-\U0003ffff]+"
)
"""Scripts that do not mark words with spaces, and Korean, which glues endings to them."""

_STOP = """
a an and are as at be been but by can could did do does for from had has have how i if in into is it
its me my of on or our s she he so t than that the their them then there these they this those to us
was we were what when where which who whom whose why will with would you your
"""


def load() -> None:
    """Import the stemmer, a fifth of a second, before the first question has to wait for it."""
    import_module("snowballstemmer")


def question_terms(text: str) -> Sequence[int]:
    """Return the distinct hashed terms of a question, in order; a bounded number of them."""
    seen: dict[int, None] = {}
    for term in _terms(text, _stemming()):
        seen.setdefault(_hashed(term))
        if len(seen) >= _MAX_LOOKED_UP:
            break
    return list(seen)


def words(text: str) -> Sequence[str]:
    """Return the terms of a text in order, each as often as it comes: BM25's, unhashed."""
    return list(_terms(text, _stemming()))


def words_among(texts: Sequence[str], wanted: frozenset[str]) -> Sequence[Sequence[str]]:
    """Return what `words` returns of each text, but only the terms that are wanted.

    Much faster, as words that begin otherwise are not even stemmed.
    """
    stem = _stemming()
    beginnings = tuple({term[:_UNTOUCHED] for term in wanted})

    def stem_if_like(word: str) -> str:
        return stem(word) if word.startswith(beginnings) else ""

    return [[term for term in _terms(text, stem_if_like) if term in wanted] for text in texts]


def passage_weights(title: str, passages: Sequence[NewPassage]) -> Sequence[Mapping[int, float]]:
    """Return the BM25 weight of each hashed term of each passage, all above 0.

    The words of the title and of the heading count once each: they say what a passage is about
    where its own text only says "it".
    """
    stem = _stemming()
    return [_weights(title, passage, stem) for passage in passages]


def inverse_document_frequency(passages: int, with_term: int) -> float:
    """Return what a term is worth that so many of the passages have; as search.sql computes it."""
    return log(1 + (passages - with_term + 0.5) / (with_term + 0.5))


def _weights(title: str, passage: NewPassage, stem: Callable[[str], str]) -> Mapping[int, float]:
    counts = Counter(map(_hashed, _terms(passage.text, stem)))
    counts.update({_hashed(term) for term in _terms(f"{title} {passage.heading}", stem)})
    length = K1 * (1 - B + B * counts.total() / AVERAGE_LENGTH)
    frequent = counts.most_common(_MAX_PASSAGE_TERMS)
    return {term: count * (K1 + 1) / (count + length) for term, count in frequent}


def _hashed(term: str) -> int:
    """A number from 1 to DIMENSIONS, the same in every process."""
    return zlib.crc32(term.encode("utf-8", "replace")) % DIMENSIONS + 1


def _stemming() -> Callable[[str], str]:
    """A stemmer for one text or document; it remembers, as words repeat and stemming is slow."""
    from snowballstemmer import stemmer

    return lru_cache(maxsize=50_000)(stemmer("english").stemWord)


def _terms(text: str, stem: Callable[[str], str]) -> Iterator[str]:
    stop = frozenset(_STOP.split())
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0][:_MAX_TOKEN]
        if word in stop:
            continue
        if not word.isascii() and _UNSPACED.search(word):
            yield from _unspaced_terms(word)
        else:
            # Codes and numbers have no endings.
            yield stem(word) if word.isalpha() and len(word) <= _MAX_STEMMED else word


def _unspaced_terms(word: str) -> Iterator[str]:
    """Pairs of neighbours, which is what finds a word within a run of characters."""
    rest = 0
    for run in _UNSPACED.finditer(word):
        if word[rest : run.start()]:
            yield word[rest : run.start()]
        rest = run.end()
        if len(run[0]) == 1:
            yield run[0]
        yield from map("".join, zip(run[0], run[0][1:], strict=False))
    if word[rest:]:
        yield word[rest:]
