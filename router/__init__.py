"""An agentic query router: retrieval, a fine-tuned model, or both, and the reason why.

    from router import Router

    async with Router.open() as router:
        answer = await router.ask("How long may I return boots?", principal="user:ana")
        print(answer.text, answer.decision.reason)

Names are loaded when they are first used: ``import router`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agents.base import Citation, Cited, Evidence, Token
    from backends.base import Message, ModelCard, Sampling, Usage
    from router.answer import Answer, Decided, Event, EvidenceFound, Finished
    from router.api import Router
    from router.config import Settings, load_settings
    from router.errors import (
        ConfigurationFault,
        DeadlineExceeded,
        InvalidRequest,
        ModelUnavailable,
        RetrievalUnavailable,
        RouterError,
        SettingsError,
        Unavailable,
        UnknownModel,
        UpstreamFailed,
    )
    from router.policy import Decision, Policy, Route

__all__ = [
    "Answer",
    "Citation",
    "Cited",
    "ConfigurationFault",
    "DeadlineExceeded",
    "Decided",
    "Decision",
    "Event",
    "Evidence",
    "EvidenceFound",
    "Finished",
    "InvalidRequest",
    "Message",
    "ModelCard",
    "ModelUnavailable",
    "Policy",
    "RetrievalUnavailable",
    "Route",
    "Router",
    "RouterError",
    "Sampling",
    "Settings",
    "SettingsError",
    "Token",
    "Unavailable",
    "UnknownModel",
    "UpstreamFailed",
    "Usage",
    "load_settings",
]

_HOMES: Final = {
    "agents.base": ("Citation", "Cited", "Evidence", "Token"),
    "backends.base": ("Message", "ModelCard", "Sampling", "Usage"),
    "router.answer": ("Answer", "Decided", "Event", "EvidenceFound", "Finished"),
    "router.api": ("Router",),
    "router.config": ("Settings", "load_settings"),
    "router.errors": (
        "ConfigurationFault",
        "DeadlineExceeded",
        "InvalidRequest",
        "ModelUnavailable",
        "RetrievalUnavailable",
        "RouterError",
        "SettingsError",
        "Unavailable",
        "UnknownModel",
        "UpstreamFailed",
    ),
    "router.policy": ("Decision", "Policy", "Route"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
