"""Answers from the evidence alone by quoting it, each sentence with its passage's number."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from backends.base import Embedder
from backends.errors import Refused
from backends.extractive.ranking import Candidate, by_words, candidates_in, choose, rank
from backends.generation import Generation, GenerationChunk, GenerationRequest, ModelCard, Usage

MODEL = "extractive"
MOST_EMBEDDED = 24
"""Sentences whose meaning is compared; the others have fewer of the question's words.

A paraphrase shares few words with its answer, so this is generous; an embedder that remembers the
sentences of popular passages pays for it.
"""

_BACKEND: Final = "extractive generator"


class ExtractiveGenerator:
    """A `Generator` that needs no model but the embedder, and cannot make anything up.

    Args:
        embedder: Compares the question with the sentences, all in one batch.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def model(self) -> str:
        """Always ``"extractive"``."""
        return MODEL

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        """Yield ``sentence [n] sentence [m]``; n counts ``request.evidence`` from 1.

        Each sentence is a verbatim piece of its passage.

        Raises:
            Refused: There is no evidence, or the request wants what quoting cannot give.
            Unavailable: The embedder cannot be reached in time.
        """
        answer = await self._answer(request)
        for at, candidate in enumerate(answer):
            yield GenerationChunk(f" {candidate.text}" if at else candidate.text)
            yield GenerationChunk(_mark(candidate))
        yield GenerationChunk(finish_reason="stop", usage=self._usage(request, answer), model=MODEL)

    async def complete(self, request: GenerationRequest) -> Generation:
        """Return the whole answer; raises as `stream`."""
        answer = await self._answer(request)
        return Generation(_text(answer), "stop", self._usage(request, answer), MODEL)

    async def models(self) -> Sequence[ModelCard]:
        """Return the one name there is."""
        return (ModelCard(MODEL),)

    async def _answer(self, request: GenerationRequest) -> list[Candidate]:
        _refuse_what_quoting_cannot(request)
        question = _question(request)
        candidates = candidates_in(request.evidence)
        if not candidates:
            raise Refused("There is no sentence in the evidence to quote.", backend=_BACKEND)
        words = by_words(question, candidates, request.evidence)
        # Stable, so that among equals the earlier passage stays.
        best = sorted(range(len(candidates)), key=lambda at: -words[at])[:MOST_EMBEDDED]
        kept = [candidates[at] for at in best]
        vectors = await self._embedder.embed([question, *(one.text for one in kept)])
        cosines = [float(cosine) for cosine in vectors[1:] @ vectors[0]]
        ranked = rank(question, kept, [words[at] for at in best], cosines)
        return choose(question, ranked, candidates)

    def _usage(self, request: GenerationRequest, answer: Sequence[Candidate]) -> Usage:
        read = [_question(request), *(passage.text for passage in request.evidence)]
        count = self._embedder.count_tokens
        return Usage(sum(count(text) for text in read), count(_text(answer)))


def _refuse_what_quoting_cannot(request: GenerationRequest) -> None:
    if request.adapter not in (None, MODEL):
        raise Refused(
            f"The extractive generator has no adapter {request.adapter!r}.",
            backend=_BACKEND,
            hint="Adapters need a model server.",
            status=404,
        )
    if request.schema is not None or request.choices:
        raise Refused(
            "The extractive generator quotes; it cannot follow a schema or choices.",
            backend=_BACKEND,
            hint="Structured output needs a model server.",
        )
    if not request.evidence:
        raise Refused(
            "The extractive generator has no evidence to quote.",
            backend=_BACKEND,
            hint="Retrieve passages first.",
        )


def _question(request: GenerationRequest) -> str:
    if request.question:
        return request.question
    return next((turn.content for turn in reversed(request.messages) if turn.role == "user"), "")


def _mark(candidate: Candidate) -> str:
    return f" [{candidate.passage + 1}]"


def _text(answer: Sequence[Candidate]) -> str:
    return " ".join(candidate.text + _mark(candidate) for candidate in answer)
