"""Opens what the settings name: embedder, database, store, model servers, reranker, judge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backends.adapters import AdapterHost, AdapterRegistry
    from backends.base import Embedder, Judge, Reranker
    from backends.genai import GenaiGenerator
    from backends.generation import Generator
    from backends.pgvector import PgvectorStore
    from backends.postgres import Limits
    from backends.questions import QuestionEncoder
    from backends.registry import PostgresAdapterRegistry
    from router.config import Settings
    from router.policy import Policy


@asynccontextmanager
async def open_embedder(settings: Settings) -> AsyncIterator[Embedder]:
    """Open the embedder: a server's, a model folder's, or the MiniLM that ships.

    Raises:
        BackendError: It cannot be opened.
    """
    if settings.embeddings_url:
        from backends.embeddings import HttpEmbedder

        assert settings.embeddings_model is not None, "the settings ask for both or neither"
        async with HttpEmbedder.open(
            settings.embeddings_url,
            settings.embeddings_model,
            api_key=_secret(settings.embeddings_api_key),
            timeout_s=settings.timeouts.embeddings,
        ) as embedder:
            yield embedder
        return
    from backends.minilm import MiniLmEmbedder

    folder = Path(settings.embeddings_model) if settings.embeddings_model else None
    async with MiniLmEmbedder.open(settings.home / "models", folder) as local:
        yield local


@asynccontextmanager
async def open_reader(settings: Settings, embedder: Embedder) -> AsyncIterator[Embedder]:
    """Open what compares sentences with questions: the MiniLM that ships, whoever embeds else.

    What judges the evidence was fitted on its vectors.

    Args:
        settings: Say where the model is kept.
        embedder: The documents' own, which is used where it is that model.

    Raises:
        BackendError: It cannot be opened.
    """
    from backends.minilm import MODEL

    if embedder.model.rsplit("/", 1)[-1].lower() == MODEL.lower():
        yield embedder
        return
    minilm = settings.model_copy(update={"embeddings_url": None, "embeddings_model": None})
    async with open_embedder(minilm) as reader:
        yield reader


@asynccontextmanager
async def open_question_encoder(
    settings: Settings, packed: bytes
) -> AsyncIterator[QuestionEncoder]:
    """Open what reads questions for the classifier.

    Args:
        settings: Say where its graphs are kept.
        packed: Its weights.

    Raises:
        BackendError: It cannot be opened.
    """
    from backends.minilm import EarlyExitEncoder

    async with EarlyExitEncoder.open(settings.home / "models", packed) as encoder:
        yield encoder


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """Yield the configured database's URL, or run the embedded one meanwhile and yield its own.

    Raises:
        BackendError: The embedded database does not start.
    """
    from backends.postgres import embedded_server

    url = _secret(settings.database_url)
    if url is not None:
        yield url
        return
    async with embedded_server(settings.home / "postgres") as embedded:
        yield embedded


@asynccontextmanager
async def open_store(
    settings: Settings, embedder: Embedder | None = None
) -> AsyncIterator[PgvectorStore]:
    """Open the document store on the configured database, or on the embedded one.

    Args:
        settings: Say where it is.
        embedder: Without one, documents can be listed, shown and deleted only.

    Raises:
        BackendError: The database cannot be reached or is not what it must be.
    """
    from backends.pgvector import open_pgvector
    from backends.postgres import migrate

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(open_database(settings))
        await migrate(url, schema=settings.database_schema)
        yield await stack.enter_async_context(
            open_pgvector(
                url,
                schema=settings.database_schema,
                limits=_limits(settings),
                model=embedder.model if embedder else None,
                dimension=embedder.dimension if embedder else 0,
            )
        )


@asynccontextmanager
async def open_registry(settings: Settings) -> AsyncIterator[PostgresAdapterRegistry]:
    """Open the registry of adapters on the configured database, or on the embedded one.

    Where the model that ships answers, its adapters are there and live.

    Raises:
        BackendError: The database cannot be reached or is not what it must be.
    """
    from backends.postgres import migrate
    from backends.registry import open_registry
    from backends.shipped import ensure_shipped

    async with open_database(settings) as url:
        await migrate(url, schema=settings.database_schema)
        limits = replace(_limits(settings), max_size=4)
        async with open_registry(url, schema=settings.database_schema, limits=limits) as registry:
            if settings.starter and not settings.vllm_url:
                await ensure_shipped(registry, shipped_adapters())
            yield registry


@asynccontextmanager
async def open_generator(settings: Settings) -> AsyncIterator[Generator | None]:
    """Open the client of the configured model servers, or the model that ships; None without both.

    Contacts nobody yet, and reads no model yet.

    Raises:
        BackendError: An address is not an http address.
    """
    if not settings.vllm_url:
        async with _open_starter(settings) as starter:
            yield starter
        return
    from backends.vllm import Timeouts, VllmGenerator

    waits = settings.timeouts
    async with VllmGenerator.open(
        ",".join(settings.vllm_url),
        model=settings.vllm_model,
        api_key=_secret(settings.vllm_api_key),
        timeouts=Timeouts(
            connect=waits.connect,
            first_token=waits.first_token,
            idle=waits.between_tokens,
            total=waits.request,
        ),
    ) as generator:
        yield generator


@asynccontextmanager
async def kept_in_order(generator: Generator, registry: AdapterRegistry) -> AsyncIterator[None]:
    """Look after the model servers while the block lasts, where they are not ours to run.

    Those that fail are spared, and those that have lost a live adapter get it back.
    """
    from backends.adapters import AdapterState
    from backends.vllm import VllmGenerator

    if not isinstance(generator, VllmGenerator):
        yield
        return
    wanted = partial(registry.adapters, state=AdapterState.LIVE)
    async with generator.keeper(wanted).running():
        yield


@asynccontextmanager
async def _open_starter(settings: Settings) -> AsyncIterator[GenaiGenerator | None]:
    from backends.genai import GenaiGenerator
    from backends.manifest import model_hash
    from backends.starter import STARTER
    from backends.starter.folder import ARTEFACT, starter_folder

    if not settings.starter:
        yield None
        return
    models = settings.home / "models"
    async with GenaiGenerator.open(
        STARTER,
        ARTEFACT,
        models,
        # Adapters are trained on the same weights as a plain folder.
        other_hashes=lambda: {model_hash(starter_folder(models))},
        timeout_s=settings.timeouts.request,
    ) as generator:
        yield generator


async def make_ready(generator: Generator | None) -> None:
    """Read a model that is in this process, so that the first question need not wait for it.

    Raises:
        BackendError: It cannot be read.
    """
    from backends.genai import GenaiGenerator

    if isinstance(generator, GenaiGenerator):
        await generator.ready()


@asynccontextmanager
async def open_reranker(settings: Settings) -> AsyncIterator[Reranker | None]:
    """Open the client of the configured cross-encoder; none without one. Contacts nobody yet."""
    if not settings.rerank_url or not settings.rerank_model:
        yield None
        return
    from backends.rerank import HttpReranker

    async with HttpReranker.open(
        settings.rerank_url,
        settings.rerank_model,
        api_key=_secret(settings.rerank_api_key),
        timeout_s=settings.timeouts.rerank,
    ) as reranker:
        yield reranker


@asynccontextmanager
async def open_judge(settings: Settings, policy: Policy) -> AsyncIterator[Judge | None]:
    """Open the client of the server that judges; none without one. Contacts nobody yet.

    Args:
        settings: Say where it is.
        policy: Its thresholds read the server's probabilities, as they read the classifier's.
    """
    if not settings.judge_url:
        yield None
        return
    from backends.judge import HttpJudge

    async with HttpJudge.open(
        settings.judge_url,
        settings.judge_model or "auto",
        api_key=_secret(settings.judge_api_key),
        facts_threshold=policy.facts_threshold,
        manner_threshold=policy.manner_threshold,
        timeout_s=settings.timeouts.judge,
    ) as judge:
        yield judge


def host_of(generator: Generator) -> AdapterHost | None:
    """Return what loads adapters for a generator, where it has such a thing."""
    host: AdapterHost | None = getattr(generator, "host", None)
    return host


def shipped_adapters() -> Sequence[Path]:
    """Return the folders of the adapters that ship with the starter model."""
    folder = Path(str(files("backends"))) / "starter" / "artefact" / "adapters"
    return sorted(path.parent for path in folder.glob("*/adapter.json"))


def _limits(settings: Settings) -> Limits:
    from backends.postgres import Limits

    return Limits(
        acquire_s=settings.timeouts.database,
        connect_s=settings.timeouts.database,
        statement_s=settings.timeouts.database,
    )


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None
