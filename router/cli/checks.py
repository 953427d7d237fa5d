"""What ``router doctor`` looks at. Each check stands alone, with a time limit of its own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from backends.errors import Misconfigured
from router.cli.findings import Check, Finding, guarded

if TYPE_CHECKING:
    from pathlib import Path

    from router.config import Settings

MINIMUM_FREE: Final = 200_000_000
"""Bytes: the built model, an empty database, and room to write."""

ENOUGH_FREE: Final = 2_000_000_000
"""Bytes: room for some hundred thousand passages."""

_STARTER_LIMIT_S: Final = 30.0


async def examine(settings: Settings) -> list[Check]:
    """Check everything that the settings name, at the same time; never raises for what it finds."""
    from router.cli.database_checks import check_database

    # Leaving the stack stops the embedded database again.
    async with AsyncExitStack() as stack:
        groups = await asyncio.gather(
            _alone(guarded("home", asyncio.to_thread(_home, settings.home), 10)),
            check_database(settings, stack),
            _check_embedder(settings),
            _check_model_servers(settings),
            _alone(guarded("port", asyncio.to_thread(_port, settings), 5)),
        )
    return [check for group in groups for check in group]


def masked(url: str) -> str:
    """Return the URL without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


async def _alone(check: Awaitable[Check]) -> list[Check]:
    return [await check]


def _home(home: Path) -> Finding:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"x")
        free = shutil.disk_usage(home).free
    except OSError as error:
        return Finding(
            "fail",
            f"{home} cannot be written: {error.strerror}",
            "Make it writable, or name another folder with ROUTER_HOME.",
        )
    detail = f"{home} is writable, {free / 1e9:.1f} GB free"
    if free < MINIMUM_FREE:
        return Finding("fail", detail, "Free some space, or name another folder with ROUTER_HOME.")
    if free < ENOUGH_FREE:
        return Finding("warn", detail, "Free some space before ingesting much.")
    return Finding("ok", detail)


def _port(settings: Settings) -> Finding:
    host, port = settings.server.host, settings.server.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
    except OSError as error:
        return Finding(
            "warn",
            f"{host}:{port} cannot be listened on: {error.strerror or error}",
            "Stop what runs there, or choose another with --port or ROUTER_SERVER__PORT.",
        )
    return Finding("ok", f"{host}:{port} is free")


async def _check_embedder(settings: Settings) -> list[Check]:
    return [
        await guarded("embedder", _embedder(settings), 60),
        await guarded("policy", _policy(settings), 60),
    ]


async def _embedder(settings: Settings) -> Finding:
    from router.adapters import open_embedder

    where = "in this process"
    if settings.embeddings_url:
        where = f"at {masked(settings.embeddings_url)}"
    elif not settings.embeddings_model:
        await asyncio.to_thread(_check_weights)
        where += ", checksums match"
    async with open_embedder(settings) as embedder:
        began = perf_counter()
        vectors = await embedder.embed(["Is anybody there?"])
        taken = (perf_counter() - began) * 1000
    length = float((vectors[0] ** 2).sum()) ** 0.5
    if not 0.99 < length < 1.01:
        raise Misconfigured(
            f"{embedder.model} returns vectors of length {length:.3f} instead of 1.",
            backend="embedder",
            hint="Use a model that normalises its embeddings.",
        )
    detail = f"{embedder.model} {where}, {vectors.shape[1]} dimensions, {taken:.0f} ms"
    return Finding("ok", detail)


def _check_weights() -> None:
    from backends.minilm.weights import find_bundle

    find_bundle().weights()


async def _policy(settings: Settings) -> Finding:
    from backends.base import Message
    from router.app import open_decisions
    from router.classify import shipped_heads
    from router.errors import SettingsError
    from router.evaluation.routing import decide
    from router.policies import load_policy

    question = (Message("user", "When do you open?"),)
    try:
        policy = load_policy(settings.policy, shipped_heads())
        async with open_decisions(settings) as steps:
            await decide(steps, question)
            began = perf_counter()
            await decide(steps, question)
            taken = (perf_counter() - began) * 1000
    except SettingsError as error:
        hint = "Correct the file, or unset ROUTER_POLICY to use the policy that ships."
        return Finding("fail", "; ".join(error.problems), hint)
    detail = f"{policy.name} decides in {taken:.1f} ms: {policy.rules}"
    return Finding("ok", detail)


async def _check_model_servers(settings: Settings) -> list[Check]:
    if settings.starter and not settings.vllm_url:
        name = "starter model"
        return [await guarded(name, _spoken(settings), _STARTER_LIMIT_S)]
    if not settings.vllm_url:
        detail = (
            "none configured: questions of fact are answered by quoting; "
            "behavioural and hybrid answers need one"
        )
        hint = "When you want those, set ROUTER_VLLM_URL."
        return [Check("model server", Finding("ok", detail, hint))]
    return list(await asyncio.gather(*(_model_server(settings, url) for url in settings.vllm_url)))


async def _spoken(settings: Settings) -> Finding:
    from backends.base import Message
    from backends.generation import GenerationRequest, Sampling
    from router.adapters import make_ready, open_generator

    hello = GenerationRequest((Message("user", "Hello!"),), sampling=Sampling(max_tokens=16))
    async with open_generator(settings) as generator:
        assert generator is not None, "the settings ask for it"
        await make_ready(generator)
        began = perf_counter()
        await generator.complete(hello)
        taken = (perf_counter() - began) * 1000
    detail = f"{generator.model} speaks in this process; it greets in {taken:.0f} ms"
    hint = "It knows a few skills only; for more, set ROUTER_VLLM_URL."
    return Finding("ok", detail, hint)


async def _model_server(settings: Settings, url: str) -> Check:
    name = "model server"
    return await guarded(name, _served(settings, url), settings.timeouts.connect + 10)


async def _served(settings: Settings, url: str) -> Finding:
    from backends.vllm import VllmGenerator

    key = settings.vllm_api_key.get_secret_value() if settings.vllm_api_key else None
    async with VllmGenerator.open(url, model=settings.vllm_model, api_key=key) as server:
        cards = await server.models()
    names = [card.name for card in cards]
    if settings.vllm_model and settings.vllm_model not in names:
        raise Misconfigured(
            f"{masked(url)} does not serve {settings.vllm_model!r}, but {_listed(names)}.",
            backend="model server",
            hint="Set ROUTER_VLLM_MODEL to one of those, or load the adapter.",
        )
    return Finding("ok", f"{masked(url)} serves {_listed(names)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "nothing") + more
