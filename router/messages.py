"""Our messages and LangChain's: the translation for those who compose the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backends.base import Message, Role
from router.errors import InvalidRequest
from router.serialise import citation_json, decision_json

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

    from router.answer import Answer

_ROLES: dict[str, Role] = {"human": "user", "ai": "assistant", "system": "system"}


def from_langchain(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """Return the turns that the router understands; tool messages are left out.

    Raises:
        InvalidRequest: A message holds something other than text.
    """
    return tuple(
        Message(_ROLES[message.type], _text(message, index))
        for index, message in enumerate(messages)
        if message.type in _ROLES
    )


def to_langchain(answer: Answer) -> AIMessage:
    """Return the answer as a chat model's message, decision and citations in its metadata."""
    from langchain_core.messages import AIMessage

    return AIMessage(
        content=answer.text,
        response_metadata=metadata(answer),
        usage_metadata={
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "total_tokens": answer.usage.input_tokens + answer.usage.output_tokens,
        },
    )


def metadata(answer: Answer) -> dict[str, Any]:
    """Everything about an answer but its text."""
    return {
        "model_name": answer.model,
        "finish_reason": answer.finish_reason,
        "decision": decision_json(answer.decision),
        "citations": [citation_json(citation) for citation in answer.citations],
        "degraded": answer.degraded,
        "abstained": answer.abstained,
        "trace_id": answer.trace_id,
    }


def _text(message: BaseMessage, index: int) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = [
        part if isinstance(part, str) else part.get("text")
        for part in message.content
        if isinstance(part, str) or part.get("type") == "text"
    ]
    if len(parts) != len(message.content) or not all(isinstance(part, str) for part in parts):
        raise InvalidRequest(
            "Only text can be read; the message holds something else.", field=f"messages[{index}]"
        )
    return "".join(str(part) for part in parts)
