"""Decisions, citations and answers as JSON: the same keys at every door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.adapter_fields import spec_json

if TYPE_CHECKING:
    from agents.base import Citation, Evidence
    from backends.adapters import Adapter, AdapterChoice
    from backends.base import DocumentInfo, Passage
    from router.answer import Answer, Found
    from router.policy import Decision


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return a decision; probabilities and margin in 0..1, rounded to four digits."""
    return {
        "route": decision.route.value,
        "needs_facts": round(decision.needs_facts, 4),
        "needs_manner": round(decision.needs_manner, 4),
        "margin": round(decision.margin, 4),
        "reason": decision.reason,
        "policy": decision.policy,
        "uncertain": decision.uncertain,
        "decided_by": decision.decided_by,
        "propensity": decision.propensity,
        "adapter": adapter_choice_json(decision.adapter) if decision.adapter else None,
        "words": [
            {"text": word.text, "facts": word.facts, "manner": word.manner}
            for word in decision.words
        ],
    }


def adapter_choice_json(choice: AdapterChoice) -> dict[str, Any]:
    """Return which adapter answers; probability and margin in 0..1, rounded to four digits."""
    return {
        "name": choice.name,
        "version": choice.version,
        "chosen_by": choice.chosen_by,
        "similarity": None if choice.similarity is None else round(choice.similarity, 4),
        "margin": None if choice.margin is None else round(choice.margin, 4),
    }


def adapter_json(adapter: Adapter) -> dict[str, Any]:
    """Return a version of an adapter with everything that the registry knows of it."""
    return {
        "name": adapter.spec.name,
        "version": adapter.version,
        "state": adapter.state.value,
        "served_as": adapter.served_as,
        "created_at": adapter.created_at.isoformat(),
        "folder": str(adapter.spec.folder),
        **spec_json(adapter.spec),
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """Return a citation; all offsets count code points."""
    return {
        "number": citation.number,
        "text_start": citation.text_start,
        "text_end": citation.text_end,
        "passage_id": citation.passage_id,
        "document_id": citation.document_id,
        "title": citation.title,
        "source": citation.source,
        "version": citation.version,
        "heading": citation.heading,
        "page": citation.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "passage": citation.passage,
    }


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """Return what retrieval found, without the passages' whole text.

    Nor their raw BM25 score: the worth of a term counts every passage there is, also those that
    the asker may not see, so it would tell whether others write about it.
    """
    return {
        "query": evidence.query,
        "sufficient": evidence.sufficient,
        "support": round(evidence.support, 4),
        "passages": [
            {
                "id": hit.passage.id,
                "title": hit.passage.title,
                "source": hit.passage.source,
                "heading": hit.passage.heading,
                "score": round(hit.score, 4),
                "similarity": round(hit.similarity, 4),
            }
            for hit in evidence.passages
        ],
    }


def passage_json(passage: Passage) -> dict[str, Any]:
    """Return a passage; ``start`` and ``end`` count code points of the document's text."""
    return {
        "id": passage.id,
        "document_id": passage.document_id,
        "source": passage.source,
        "title": passage.title,
        "heading": passage.heading,
        "page": passage.page,
        "version": passage.version,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
    }


def found_json(found: Found) -> dict[str, Any]:
    """Return what a search found, scores as in `evidence_json`."""
    return {
        "query": found.query,
        "passages": [
            passage_json(hit.passage)
            | {
                "score": round(hit.score, 4),
                "similarity": round(hit.similarity, 4),
                "superseded_by": hit.superseded_by or None,
            }
            for hit in found.passages
        ],
        "trace_id": found.trace_id,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return a whole answer."""
    return {
        "text": answer.text,
        "decision": decision_json(answer.decision),
        "citations": [citation_json(citation) for citation in answer.citations],
        "evidence": evidence_json(answer.evidence) if answer.evidence else None,
        "degraded": answer.degraded,
        "abstained": answer.abstained,
        "standalone_question": answer.standalone_question,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "tool_calls": list(answer.tool_calls),
        "usage": {
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
        },
        "timings_ms": {step: round(ms, 2) for step, ms in answer.timings_ms.items()},
        "trace_id": answer.trace_id,
    }


def document_json(document: DocumentInfo) -> dict[str, Any]:
    """Return a stored document as listings show it."""
    return {
        "id": document.id,
        "source": document.source,
        "title": document.title,
        "version": document.version,
        "media_type": document.media_type,
        "acl": sorted(document.acl),
        "passages": document.passages,
        "characters": document.characters,
        "updated_at": document.updated_at.isoformat(),
        "metadata": dict(document.metadata),
    }
