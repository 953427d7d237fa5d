"""An agentic query router: retrieval, a fine-tuned model, or both, and the reason why.

    from router import Router

    async with Router.open() as router:
        answer = await router.ask("How long may I return boots?", principal="user:ana")
        print(answer.text, answer.decision.reason)

Names are loaded when they are first used: ``import router`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agents.base import Citation, Cited, Evidence, Token
    from backends.base import Message, Passage
    from backends.generation import ModelCard, Sampling, Usage
    from router.answer import Answer, Decided, Event, EvidenceFound, Finished, Found
    from router.api import Router
    from router.config import Settings, load_settings
    from router.errors import (
        ConfigurationFault,
        DeadlineExceeded,
        DecisionUnavailable,
        InvalidRequest,
        ModelUnavailable,
        RetrievalUnavailable,
        RouterError,
        SettingsError,
        Unavailable,
        UnknownModel,
        UnknownPassage,
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
    "DecisionUnavailable",
    "Event",
    "Evidence",
    "EvidenceFound",
    "Finished",
    "Found",
    "InvalidRequest",
    "Message",
    "ModelCard",
    "ModelUnavailable",
    "Passage",
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
    "UnknownPassage",
    "UpstreamFailed",
    "Usage",
    "load_settings",
]

_HOMES: Final = {
    "agents.base": ("Citation", "Cited", "Evidence", "Token"),
    "backends.base": ("Message", "Passage"),
    "backends.generation": ("ModelCard", "Sampling", "Usage"),
    "router.answer": ("Answer", "Decided", "Event", "EvidenceFound", "Finished", "Found"),
    "router.api": ("Router",),
    "router.config": ("Settings", "load_settings"),
    "router.errors": (
        "ConfigurationFault",
        "DeadlineExceeded",
        "DecisionUnavailable",
        "InvalidRequest",
        "ModelUnavailable",
        "RetrievalUnavailable",
        "RouterError",
        "SettingsError",
        "Unavailable",
        "UnknownModel",
        "UnknownPassage",
        "UpstreamFailed",
    ),
    "router.policy": ("Decision", "Policy", "Route"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(_loaded(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _loaded(module: str) -> object:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("agents."):
            raise
        found = find_spec("agents")
        raise ImportError(
            f"Python finds another package named 'agents' at {found.origin if found else '?'}. "
            "The router needs its own; uninstall the other one (openai-agents installs such a "
            "package) or give the router an environment of its own."
        ) from error
