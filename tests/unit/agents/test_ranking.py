"""Ranking: the passage whose sentence answers comes first."""

from __future__ import annotations

from agents.ranking import READ_CLOSELY, rank
from agents.reading import Candidate
from backends.base import DocumentId, Passage, PassageId, ScoredPassage

QUESTION = "When may boots be returned?"


def candidate(
    *sentences: str,
    cosines: tuple[float, ...] | None = None,
    heading: str = "",
    heading_cosine: float = -1.0,
    lexical: float = 0.0,
    similarity: float = 0.3,
) -> Candidate:
    text = " ".join(sentences)
    name = f"{text} {heading}"
    passage = Passage(
        PassageId(name), DocumentId(name), "Title", name, 1, 0, 0, len(text), text, heading
    )
    given = (0.4,) * len(sentences) if cosines is None else cosines
    hit = ScoredPassage(passage, 0.5, similarity, lexical)
    return Candidate(hit, sentences, given, heading_cosine)


def test_the_passage_with_the_closest_sentence_comes_first() -> None:
    vague = candidate("It depends.", "Ask us.", cosines=(0.5, 0.5))
    exact = candidate("Ask us.", "Within 45 days.", cosines=(0.1, 0.7))

    assert rank(QUESTION, [vague, exact]).candidates == (exact, vague)


def test_of_equally_close_passages_the_one_with_more_of_the_words_comes_first() -> None:
    apart = candidate("Boots are warm.", "Skis may be returned.")
    together = candidate("Skis are long.", "Boots may be returned.")

    assert rank(QUESTION, [apart, together]).candidates == (together, apart)


def test_a_heading_counts_like_a_sentence() -> None:
    other = candidate("Within 45 days.", cosines=(0.5,))
    below = candidate("Within 45 days.", cosines=(0.3,), heading_cosine=0.8)

    assert rank(QUESTION, [other, below]).candidates == (below, other)


def test_words_that_neighbour_in_the_question_count_for_more_in_its_order() -> None:
    ordered = candidate("Boots were returned.")
    turned = candidate("Returned were boots.")

    assert rank(QUESTION, [turned, ordered]).candidates == (ordered, turned)


def test_without_sentences_the_passage_itself_is_compared() -> None:
    table = candidate(similarity=0.9)
    prose = candidate("Ask us.", cosines=(0.2,))

    assert rank(QUESTION, [prose, table]).candidates == (table, prose)


def test_equals_keep_their_order_and_none_is_lost() -> None:
    many = [candidate(f"Sentence {number}.") for number in range(READ_CLOSELY + 5)]

    ranked = rank(QUESTION, many)

    assert list(ranked.candidates) == many
    assert len(ranked.reads) == len(ranked.scores) == READ_CLOSELY


def test_a_question_without_words_and_a_search_without_hits_are_ranked_too() -> None:
    one = candidate("Ask us.")

    assert rank("?", [one]).candidates == (one,)
    assert rank(QUESTION, []).candidates == ()
