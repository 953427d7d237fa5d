"""The HTTP door: OpenAI's wire shapes, keys, admission, health.

`serve` runs a whole process; `create_app` gives the ASGI application to whoever runs their own.
"""

from __future__ import annotations

from router.server.app import create_app
from router.server.asks import Asks
from router.server.errors import PortUnavailable
from router.server.serving import serve

__all__ = ["Asks", "PortUnavailable", "create_app", "serve"]
