"""Answers in the shape of OpenAI's chat completions, whole and in chunks.

Beyond that shape there is one object, ``router``, which OpenAI's clients keep as an extra field. In
a stream the first chunk has it with the decision, the finishing chunk has it whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from router.serialise import answer_json, decision_json

if TYPE_CHECKING:
    from agents.base import Citation
    from router.answer import Answer
    from router.policy import Decision

_FINISH_REASONS: Final = frozenset({"stop", "length", "content_filter", "tool_calls"})
"""Those of OpenAI's that an answer can have; a client may refuse others."""

_OWN_FIELDS: Final = (
    "citations",
    "degraded",
    "abstained",
    "standalone_question",
    "model",
    "timings_ms",
    "trace_id",
)


class ChatReply:
    """The objects that answer one request."""

    def __init__(self, *, call_id: str, created: int, model: str) -> None:
        """Fix what all of them share.

        Args:
            call_id: Starts with ``chatcmpl-``.
            created: Seconds since 1970.
            model: As the caller named it; who wrote the text is ``router.model``.
        """
        self._id = call_id
        self._created = created
        self._model = model

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a chat completion."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": annotations_json(answer),
        }
        if answer.tool_calls:
            message |= {"content": answer.text or None, "tool_calls": list(answer.tool_calls)}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason(answer),
        }
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage_json(answer),
            "router": router_json(answer),
        }

    def first(self, decision: Decision | None) -> dict[str, Any]:
        """Return the chunk that opens a stream."""
        chunk = self._chunk({"role": "assistant", "content": "", "refusal": None})
        if decision is not None:
            chunk["router"] = {"decision": decision_json(decision)}
        return chunk

    def piece(self, text: str) -> dict[str, Any]:
        """Return a chunk with text."""
        return self._chunk({"content": text})

    def calls(self, pieces: Sequence[Mapping[str, object]]) -> dict[str, Any]:
        """Return a chunk with pieces of tool calls."""
        return self._chunk({"tool_calls": list(pieces)})

    def last(self, answer: Answer) -> dict[str, Any]:
        """Return the chunk that finishes a choice."""
        annotations = annotations_json(answer)
        delta = {"annotations": annotations} if annotations else {}
        return {
            **self._chunk(delta, finish=finish_reason(answer)),
            "router": router_json(answer),
        }

    def usage(self, answer: Answer) -> dict[str, Any]:
        """Return the chunk that ``stream_options.include_usage`` asks for."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_json(answer)}

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}


def router_json(answer: Answer) -> dict[str, Any]:
    """Return why the answer is what it is; the keys are those of `answer_json`."""
    whole = answer_json(answer)
    return {"decision": whole["decision"], **{field: whole[field] for field in _OWN_FIELDS}}


def annotations_json(answer: Answer) -> list[dict[str, Any]]:
    """Return the citations as OpenAI writes them.

    ``text[start_index:end_index]``, in code points, is the citation's mark.
    """
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.text_start,
                "end_index": citation.text_end,
                "title": citation.title,
                "url": citation_url(citation),
            },
        }
        for citation in answer.citations
    ]


def citation_url(citation: Citation) -> str:
    """Return a link to the source, or, where it is none, a name that stays the same (RFC 8141)."""
    if citation.source.startswith(("http://", "https://")):
        return citation.source
    return f"urn:router:passage:{quote(citation.passage_id, safe='')}"


def usage_json(answer: Answer) -> dict[str, int]:
    """Return the tokens of the generation that wrote the text."""
    usage = answer.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def finish_reason(answer: Answer) -> str:
    """Return why the text ends, in a word that clients know."""
    return answer.finish_reason if answer.finish_reason in _FINISH_REASONS else "stop"
