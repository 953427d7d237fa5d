"""The reranker's twin: what share of a question's words a passage has."""

from __future__ import annotations

from collections.abc import Sequence

from backends.terms import question_terms


class OverlapReranker:
    """Knows words and nothing of their order or meaning; the same scores everywhere."""

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        return "overlap"

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Return for each passage the share of the question's terms that it has, 0..1."""
        wanted = set(question_terms(question))
        if not wanted:
            return [0.0] * len(passages)
        return [len(wanted & set(question_terms(one))) / len(wanted) for one in passages]
