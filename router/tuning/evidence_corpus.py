"""A corpus in memory whose searches give what the store gives, for thousands of questions at once.

Cut, embedded and scored by the very functions that production uses; only the loops are numpy's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.reading import Candidate
from backends.base import DocumentId, Passage, PassageId, ScoredPassage
from backends.ingest.budget import embedding_text, passage_context
from backends.ingest.chunks import split
from backends.sentences import statements
from backends.terms import inverse_document_frequency, passage_weights, question_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Vectors
    from backends.minilm.encoder import Encoder

    Mask = NDArray[np.bool_]
    """Which passages each question may find, shape (questions, passages)."""

CANDIDATES = 30
_LEG = 50
_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Text:
    """A document to search in; ``group`` is what must not be split between fitting and testing."""

    id: str
    title: str
    body: str
    group: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Passages with everything that a search needs; made by `build`."""

    passages: Sequence[Passage]
    groups: Sequence[str]
    vectors: Vectors
    sentences: Sequence[Sequence[tuple[int, int]]]
    sentence_vectors: Vectors
    """Of what stands above a passage and of its sentences, passage after passage."""
    first_rows: NDArray[np.int64]
    """Where each passage's rows begin in ``sentence_vectors``."""
    postings: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]]

    def search(
        self, questions: Sequence[str], vectors: Vectors, visible: Mask | None = None
    ) -> Iterator[list[Candidate]]:
        """Yield for each question its candidates in the store's order, at most ``CANDIDATES``."""
        for start in range(0, len(questions), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            yield from self._search(
                questions[part], vectors[part], None if visible is None else visible[part]
            )

    def _search(
        self, questions: Sequence[str], vectors: Vectors, visible: Mask | None
    ) -> Iterator[list[Candidate]]:
        import numpy as np

        similar, lexical = vectors @ self.vectors.T, self._lexical(questions)
        if visible is not None:
            similar, lexical = np.where(visible, similar, -1.0), np.where(visible, lexical, 0.0)
        fused = 0.5 * _scaled(similar) + 0.5 * np.where(lexical > 0, _scaled(lexical), 0.0)
        if visible is not None:
            fused = np.where(visible, fused, -1.0)
        best = np.argsort(-fused, axis=1, kind="stable")[:, :CANDIDATES]
        rows = vectors @ self.sentence_vectors.T
        for at, order in enumerate(best):
            yield [
                self._candidate(p, fused[at, p], similar[at, p], lexical[at, p], rows[at])
                for p in order
                if fused[at, p] >= 0
            ]

    def _lexical(self, questions: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        scores = np.zeros((len(questions), len(self.passages)), np.float32)
        for row, question in enumerate(questions):
            for term in question_terms(question):
                if term in self.postings:
                    where, weights = self.postings[term]
                    worth = inverse_document_frequency(len(self.passages), len(where))
                    scores[row, where] += weights * np.float32(worth)
        return scores

    def _candidate(self, at: int, fused: Any, similar: Any, lexical: Any, row: Any) -> Candidate:
        passage, first = self.passages[at], self.first_rows[at]
        hit = ScoredPassage(passage, float(fused), float(similar), float(lexical))
        texts = tuple(passage.text[start:end] for start, end in self.sentences[at])
        heading, *cosines = row[first : first + 1 + len(texts)].tolist()
        return Candidate(hit, texts, tuple(cosines), heading)


def build(encoder: Encoder, texts: Sequence[Text]) -> Corpus:
    """Cut and embed documents as ingestion does."""
    import numpy as np

    passages: list[Passage] = []
    groups, sentences, first_rows = [], [], []
    vectors: list[Any] = []
    rows: list[Any] = []
    postings: dict[int, list[tuple[int, float]]] = {}
    for text in texts:
        cut = split(
            text.body,
            count_tokens=encoder.count_tokens,
            max_tokens=encoder.max_tokens,
            title=text.title,
        )
        for new, weights in zip(cut, passage_weights(text.title, cut), strict=True):
            number = len(passages)
            context = passage_context(
                text.title, new.heading, encoder.count_tokens, encoder.max_tokens
            )
            spans = statements(new.text)
            whole, spanned = _embedded(encoder, context, new.text, spans)
            passages.append(_passage(text, number, new.text, new.heading))
            groups.append(text.group)
            vectors.append(whole)
            sentences.append(spans)
            first_rows.append(sum(map(len, rows)))
            rows.append(spanned)
            for term, weight in weights.items():
                postings.setdefault(term, []).append((number, weight))
    return Corpus(
        passages,
        groups,
        np.stack(vectors),
        sentences,
        np.concatenate(rows),
        np.array(first_rows, np.int64),
        {
            term: (np.array([p for p, _ in having]), np.array([w for _, w in having], np.float32))
            for term, having in postings.items()
        },
    )


def _embedded(
    encoder: Encoder, context: str, text: str, spans: Sequence[tuple[int, int]]
) -> tuple[Any, Any]:
    read = embedding_text(context, text)
    shift = len(read) - len(text)
    shifted = [(start + shift, end + shift) for start, end in spans]
    whole, spanned = encoder.encode_spans(read, [(0, len(context)), *shifted])
    assert spanned is not None, "the bundled model gives its tokens away"
    return whole, spanned


def _passage(text: Text, number: int, piece: str, heading: str) -> Passage:
    return Passage(
        id=PassageId(str(number)),
        document_id=DocumentId(text.id),
        title=text.title,
        source=text.id,
        version=1,
        ordinal=number,
        start=0,
        end=len(piece),
        text=piece,
        heading=heading,
    )


def _scaled(scores: Any) -> Any:
    """Min-max over the best ones of each question, as search.sql does."""
    import numpy as np

    most = min(_LEG, scores.shape[1])
    leg = np.partition(scores, -most, axis=1)[:, -most:]
    low, high = leg.min(axis=1, keepdims=True), leg.max(axis=1, keepdims=True)
    return np.clip((scores - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
