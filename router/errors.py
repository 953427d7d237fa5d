"""What a caller of the router may have to handle, as one small tree.

    RouterError
    ├── InvalidRequest       the caller's mistake; ``field`` names the part at fault
    │   ├── UnknownModel     no route, model or adapter has that name
    │   └── UnknownPassage   no passage that the asker may see has that id
    ├── Unavailable          cannot be served now; the same request may succeed later
    │   ├── ModelUnavailable the model server is missing, down or too slow
    │   ├── RetrievalUnavailable  the database or the embedder is down or too slow
    │   ├── DecisionUnavailable   the classifier has too much to read
    │   └── DeadlineExceeded the whole request took longer than it may
    ├── UpstreamFailed       a backend answered, but with nonsense
    └── ConfigurationFault   the installation is not what its settings promise
        └── SettingsError    the settings themselves are wrong; ``problems`` has one line a key

Errors of the agents and the backends are translated here once, by `translated`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final

from agents.errors import AgentError, LostFacts, NoModel, UnusableSchema
from backends import errors as backend
from backends.filters import InvalidCondition
from backends.principals import InvalidPrincipal


class RouterError(Exception):
    """The router cannot do what it was asked.

    Attributes:
        code: Stable, for programs.
        public: What may be shown to whoever asked: no addresses, no names of servers. The message
            itself is for those who run the router.
    """

    code: ClassVar[str] = "router_error"
    _public: ClassVar[str | None] = None

    def __init__(self, message: str, *, public: str | None = None) -> None:
        self.public = public or self._public or message
        super().__init__(message)


class InvalidRequest(RouterError):
    """The request itself is at fault."""

    code = "invalid_request"

    def __init__(
        self, message: str, *, field: str | None = None, public: str | None = None
    ) -> None:
        self.field = field
        super().__init__(message, public=public)


class UnknownModel(InvalidRequest):
    """No route, model or adapter has that name."""

    code = "model_not_found"


class UnknownPassage(InvalidRequest):
    """No passage has that id, or the asker may not see it; which of the two is not said."""

    code = "passage_not_found"


class Unavailable(RouterError):
    """Not now; later perhaps."""

    code = "unavailable"


class ModelUnavailable(Unavailable):
    """No model server is connected, or it does not answer."""

    code = "model_unavailable"
    _public = "The model that would answer this is not available now. Try again later."


class RetrievalUnavailable(Unavailable):
    """The database or the embedder does not answer."""

    code = "retrieval_unavailable"
    _public = "The documents cannot be searched now. Try again later."


class DecisionUnavailable(Unavailable):
    """The classifier is too busy to read the question in time."""

    code = "decision_unavailable"
    _public = "What this question needs cannot be decided now. Try again later."


class DeadlineExceeded(Unavailable):
    """The request ran into its total time limit."""

    code = "deadline_exceeded"


class UpstreamFailed(RouterError):
    """A backend broke its protocol or stopped in the middle of an answer."""

    code = "upstream_failed"
    _public = "The model answered with something that cannot be used. Try again."


class ConfigurationFault(RouterError):
    """Something installed is not what the settings promise."""

    code = "configuration_fault"
    _public = "The router is not set up correctly; whoever runs it finds the reason in its log."


class SettingsError(ConfigurationFault):
    """The settings are wrong; nothing was started."""

    code = "settings_invalid"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("The settings are not valid:\n" + "\n".join(f"- {p}" for p in problems))


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the lower layers into `RouterError`, chained to their cause."""
    try:
        yield
    except InvalidPrincipal as error:
        raise InvalidRequest(str(error), field="principal") from error
    except InvalidCondition as error:
        raise InvalidRequest(f"where: {error}.", field="where") from error
    except (AgentError, backend.BackendError) as error:
        raise router_error(error) from error


def router_error(error: AgentError | backend.BackendError) -> RouterError:
    """Return what a caller sees of a failure beneath."""
    match error:
        case AgentError():
            return _of_an_agent(error)
        case backend.Garbled():
            return UpstreamFailed(str(error))
        case backend.Unavailable(backend="model server" | "starter model"):
            return ModelUnavailable(str(error))
        case backend.Unavailable(backend="classifier"):
            return DecisionUnavailable(str(error))
        case backend.Unavailable():
            return RetrievalUnavailable(str(error))
        case backend.OtherModel():
            return RetrievalUnavailable(str(error), public=_OTHER_MODEL)
        case backend.Misconfigured():
            return ConfigurationFault(str(error))
        case backend.UnknownField():
            return InvalidRequest(f"where: {error}", field="where")
        case backend.Refused():
            return _refusal(error)
        case _:
            return UpstreamFailed(str(error))


def _of_an_agent(error: AgentError) -> RouterError:
    match error:
        case NoModel():
            return ModelUnavailable(str(error), public=str(error))
        case UnusableSchema():
            return InvalidRequest(str(error), field="schema")
        case LostFacts():
            return UpstreamFailed(str(error), public=str(error))
        case _:
            return UpstreamFailed(str(error))


_OTHER_MODEL: Final = (
    "The documents cannot be searched now: they were embedded with another model than the one that "
    "is set. Whoever runs the router sets that model, or embeds them anew with: router documents "
    "reindex"
)

_REQUESTS_FAULT: Final = frozenset({400, 413, 422})
"""Statuses with which a model server says that the request is at fault, not the connection."""


_NO_TOOLS: Final = (
    "The model that is connected is not set up to call tools. Ask without tools, or with "
    "tool_choice none."
)

_TOO_MUCH: Final = (
    "The model refused the request as it is. It may be too long for it, or ask for something that "
    "it does not support."
)


def _refusal(error: backend.Refused) -> RouterError:
    """A wrong key or address is the installation's fault; a wrong name or prompt the caller's."""
    if error.backend == "adapters":
        unknown = error.status == 404
        return (UnknownModel if unknown else InvalidRequest)(str(error), field="adapter")
    if isinstance(error, backend.CallsNoTools):
        return ConfigurationFault(str(error), public=_NO_TOOLS)
    if error.backend not in ("model server", "starter model"):
        return ConfigurationFault(str(error))
    if error.status == 404:
        return UnknownModel(str(error), field="model")
    if error.backend == "starter model" and error.status in _REQUESTS_FAULT:
        # Our own words about it, which tell nothing about an installation.
        return InvalidRequest(str(error), field="messages" if error.status == 413 else None)
    if error.status is None or error.status in _REQUESTS_FAULT:
        return InvalidRequest(str(error), public=_TOO_MUCH)
    return ConfigurationFault(str(error))
