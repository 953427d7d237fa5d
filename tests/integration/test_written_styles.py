"""Pairs and wishes that people have written, and the judge of styles that is fitted on them."""

from __future__ import annotations

import pytest

from agents.base import Cited
from agents.citations import CitationChecker
from backends.facts import facts_in
from router.evaluation.behaviour import evidence_of
from router.evaluation.behaviour_scores import facts_wanted
from router.evaluation.held_out import STYLES, shipped_rows, written_pairs
from router.evaluation.style import StyleJudge

ACCURACY = {"brand-voice": 0.9, "formal": 0.93, "friendly": 0.95, "short": 0.95}
"""What the judges reach on texts left out, less a few."""


@pytest.mark.parametrize("style", STYLES)
def test_a_judge_tells_the_styles_of_texts_that_it_has_not_seen(style: str) -> None:
    assert StyleJudge(style).accuracy >= ACCURACY[style]


def test_what_comes_from_a_pair_is_judged_by_a_model_that_has_not_seen_it() -> None:
    judge, pairs = StyleJudge("brand-voice"), written_pairs()
    ours = [pair for pair in pairs if pair.style == "brand-voice"]

    known = [judge.in_style(pair.target) and not judge.in_style(pair.source) for pair in ours]
    apart = [
        judge.in_style(pair.target, source=pair.source)
        and not judge.in_style(pair.source, source=pair.source)
        for pair in ours
    ]

    assert all(known)
    assert not all(apart)


def test_written_pairs_and_wishes_keep_every_fact_and_add_none() -> None:
    for name in ("brand-voice", "tone"):
        for row in shipped_rows(name, None):
            said = " ".join(row.said)
            known = {said[one.start : one.end] for one in facts_in(said) if one.kind == "p"}
            stated = [row.reference[one.start : one.end] for one in facts_in(row.reference, known)]

            assert facts_wanted(row) == list(dict.fromkeys(stated)), row
            if row.source:
                kept = {row.source[one.start : one.end] for one in facts_in(row.source, known)}
                assert kept <= set(stated), row


def test_targets_in_the_brand_voice_keep_the_brands_own_rules() -> None:
    avoided = ("consumer", "cheap", "must-have", "unfortunately", "eco-friendly", "T&T", "ultimate")
    for pair in written_pairs():
        if pair.style == "brand-voice":
            sentences = [one.split() for one in pair.target.replace("?", ".").split(". ")]

            assert max(map(len, sentences)) <= 20, pair
            assert pair.target.count("!") <= 1, pair
            assert not [word for word in avoided if word in pair.target], pair


def test_every_mark_of_a_written_hybrid_answer_stands_when_it_is_checked() -> None:
    rows = [row for row in shipped_rows("brand-voice", None) if row.evidence]

    assert len(rows) >= 20
    for row in rows:
        checker = CitationChecker([hit.passage for hit in evidence_of(row).passages])
        events = [*checker.feed(row.reference), *checker.close()]

        assert checker.removed == 0, row
        assert sum(isinstance(event, Cited) for event in events) == row.reference.count("["), row
