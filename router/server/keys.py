"""Who may come in: a bearer token, or, without keys, only this machine itself."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from router.errors import SettingsError
from router.server.errors import ForeignHost, Unauthorized

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from router.config import ServerSettings

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Probes carry no keys."""


class Keys:
    """Lets a request pass that has a key, or, where none is set, that was meant for this machine.

    The second half keeps web pages out: one that makes its own host name resolve to 127.0.0.1 (DNS
    rebinding) still sends that name in ``Host``.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._digests = [_digest(key.get_secret_value()) for key in settings.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it.

        Raises:
            Unauthorized: No valid key.
            ForeignHost: No keys are set and the host is not loopback.
        """
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            headers = Headers(scope=scope)
            if self._digests:
                self._check_key(headers.get("authorization", ""))
            else:
                _check_host(headers.get("host", ""))
        await self._app(scope, receive, send)

    def _check_key(self, authorization: str) -> None:
        scheme, _, given = authorization.partition(" ")
        digest = _digest(given.strip())
        # Every key is compared, and only digests: neither time nor length tells anything.
        matches = [compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            raise Unauthorized(
                "No valid API key was sent; send one as 'Authorization: Bearer KEY'."
            )


def check_binding(settings: ServerSettings) -> None:
    """Refuse settings that would open the server to strangers.

    Raises:
        SettingsError: It would listen beyond loopback without keys, or a key is empty.
    """
    if any(not key.get_secret_value().strip() for key in settings.api_keys):
        raise SettingsError(["server.api_keys: a key is empty, which would let everybody in"])
    if not settings.api_keys and not is_loopback(settings.host):
        raise SettingsError(
            [
                f"server.host: {settings.host!r} can be reached from other machines; "
                "set server.api_keys as well, or listen on 127.0.0.1"
            ]
        )


def is_loopback(host: str) -> bool:
    """Return whether a host, given without a port, is this machine by any name."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_host(host: str) -> None:
    name, _, port = host.rpartition(":")
    if not name or not port.isdigit():
        name = host
    if not is_loopback(name):
        raise ForeignHost(
            "This server has no API keys and answers only to 127.0.0.1 and localhost; "
            "set server.api_keys to reach it by another name."
        )


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
