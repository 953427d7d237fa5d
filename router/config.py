"""Settings: read once by a door, checked before anything starts, secrets masked.

Arguments of `Settings` win over environment variables (``ROUTER_…``), which win over the TOML file
that ``ROUTER_SETTINGS`` names, which wins over the defaults below. In the file a nested table holds
what follows ``__`` in a variable:
``ROUTER_SERVER__PORT=9000`` is ``[server]`` ``port = 9000``.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import pydantic_settings
from platformdirs import user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from backends.adapters import NAME
from backends.principals import EVERYONE, InvalidPrincipal, parse_principals
from router.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Timeouts(BaseModel):
    """How long each wait may last, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request: Seconds = 120.0
    """One question from its arrival to the last token."""
    database: Seconds = 5.0
    """Getting a connection, and each statement."""
    connect: Seconds = 3.0
    """Opening a connection to a model server."""
    first_token: Seconds = 30.0
    """From sending a prompt to the first byte of its answer."""
    between_tokens: Seconds = 20.0
    """Silence in the middle of an answer."""
    embeddings: Seconds = 10.0
    """One call to an embeddings server."""
    rerank: Seconds = 2.0
    """One call to a rerank server; after that the ranking of the search stands."""
    condense: Seconds = 2.0
    """The model's standalone question; after that the one by rules stands."""
    probe: Seconds = 1.0
    """One look into the documents when the classifier is uncertain whether facts are needed; after
    that its decision stands."""
    judge: Seconds = 3.0
    """The judge's verdict; after that the classifier's decision stands."""


class ServerSettings(BaseModel):
    """The HTTP door."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    api_keys: tuple[SecretStr, ...] = ()
    """Callers must send one of them as a bearer token. Required to bind beyond loopback."""
    anonymous: str = EVERYONE
    """The principal of a request that names none; empty denies it every document."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 2_000_000
    max_concurrent: Annotated[int, Field(ge=1)] = 64
    """Questions answered at the same time; more wait."""
    max_waiting: Annotated[int, Field(ge=0)] = 128
    """Questions that may wait; more are turned away with 503."""
    drain_s: Seconds = 30.0
    """How long answers in flight may take to finish after a stop signal."""

    @field_validator("anonymous")
    @classmethod
    def _typed(cls, value: str) -> str:
        try:
            parse_principals(value)
        except InvalidPrincipal as error:
            raise ValueError(str(error)) from error
        return value


class Settings(BaseSettings):
    """Everything that can be configured; the defaults run on a laptop with nothing but Python."""

    model_config = SettingsConfigDict(
        env_prefix="ROUTER_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    home: Path = Field(default_factory=lambda: user_data_path("agentic-query-router"))
    """Holds the embedded database and the models built from their weights."""
    database_url: SecretStr | None = None
    """A PostgreSQL with pgvector; without it an embedded server runs in ``home``."""
    database_schema: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,50}$")] = "router"
    """The schema that holds every table; several routers may share one database."""
    vllm_url: Annotated[tuple[str, ...], NoDecode] = ()
    """Base URLs of the replicas of one model server; a comma separates them."""
    vllm_model: str | None = None
    """The model or adapter that speaks by default; without it the first base model served."""
    vllm_api_key: SecretStr | None = None
    default_adapter: (
        Annotated[str, Field(pattern=rf"^{NAME.pattern}(@[1-9][0-9]{{0,8}})?$")] | None
    ) = None
    """The adapter that answers where nobody names one and no examples are near; without it, or
    while it is not live, ``vllm_model`` does."""
    starter: bool = True
    """Without ``vllm_url``, let the small model that ships speak in process: behavioural and hybrid
    answers only, and only what it was trained for."""
    embeddings_url: str | None = None
    """An OpenAI-compatible embeddings server; without it MiniLM runs in process."""
    embeddings_model: str | None = None
    """Its model name; without ``embeddings_url``, a folder with an ONNX model and tokenizer."""
    embeddings_api_key: SecretStr | None = None
    rerank_url: str | None = None
    """A server of ``/v1/rerank`` (vLLM, Jina, Cohere) that orders what a search found."""
    rerank_model: str | None = None
    """The name of the cross-encoder on it."""
    rerank_api_key: SecretStr | None = None
    facts: Literal["auto", "extractive", "model"] = "auto"
    """Who words factual answers: quoted sentences, or the model server; auto prefers the model."""
    condense: Literal["auto", "model", "rules"] = "auto"
    """Who rewrites a turn that leans on its conversation; auto takes the model server, if any."""
    judge: bool = False
    """Ask the model server when the classifier is uncertain."""
    judge_url: str | None = None
    """A server of ``/v1/decisions``, such as another router, to ask instead."""
    judge_model: str | None = None
    """The name of its model, ``auto`` without it. Without ``judge_url``, the model that judges, and
    rewrites questions; without it the default one, which should then not be a persona."""
    judge_api_key: SecretStr | None = None
    policy: Path | None = None
    """A policy file instead of the one that ships."""
    passages: Annotated[int, Field(ge=1, le=50)] = 6
    """How many passages an answer may rest on."""
    evidence_characters: Annotated[int, Field(ge=200)] = 12_000
    """So much of them a model reads before it words an answer in a manner; an adapter's own record
    goes before it."""
    traces: Literal["none", "console", "otlp"] = "none"
    """Where spans go. ``otlp`` reads the standard OTEL_EXPORTER_OTLP_… variables."""
    capture_content: bool = False
    """Put questions, passages and answers on spans."""
    timeouts: Timeouts = Timeouts()
    server: ServerSettings = ServerSettings()

    @field_validator("vllm_url", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(url.strip() for url in value.split(",") if url.strip())
        return value

    @field_validator("vllm_url")
    @classmethod
    def _http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError("every address must begin with http:// or https://")
        return tuple(url.rstrip("/") for url in urls)

    @field_validator("embeddings_url")
    @classmethod
    def _versioned(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        bare = url.rstrip("/")
        return bare if bare.endswith("/v1") else f"{bare}/v1"

    @field_validator("rerank_url", "judge_url")
    @classmethod
    def _with_version(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if not _names_a_host(url):
            raise ValueError("must name a host and no other than a numeric port")
        bare = url.rstrip("/")
        return bare if re.search(r"/v\d+$", bare) else f"{bare}/v1"

    @model_validator(mode="after")
    def _named_models(self) -> Self:
        if self.rerank_url and not self.rerank_model:
            raise ValueError("rerank_url needs rerank_model, the model's name on it")
        if self.judge and self.judge_url:
            raise ValueError(
                "judge = true makes the model server the judge, and judge_url another server; "
                "leave out one of the two"
            )
        if self.condense == "model" and not self.vllm_url:
            raise ValueError('condense = "model" needs vllm_url, the model server to ask')
        if self.embeddings_url and not self.embeddings_model:
            raise ValueError("embeddings_url needs embeddings_model, the model's name on it")
        return self


def load_settings(path: Path | str | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        path: A TOML file; None takes the one that ``ROUTER_SETTINGS`` names, if any.

    Raises:
        SettingsError: The file cannot be read, or a key is unknown or has a bad value; the error
            has one problem a key.
    """
    named = path or os.environ.get("ROUTER_SETTINGS")
    content = _read(Path(named)) if named else {}

    class FromFile(Settings):
        """The same settings, with a file beneath the environment."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (env_settings, InitSettingsSource(settings_cls, content))

    try:
        return FromFile()
    except pydantic_settings.SettingsError as error:
        # Its cause holds the value, which may be a secret.
        field = str(error).partition('"')[2].partition('"')[0]
        problem = f'{field}: a variable for it is not JSON; write a list as ["one", "two"]'
        raise SettingsError([problem]) from None
    except ValidationError as error:
        origin = f" in {named}" if named else ""
        raise SettingsError([_problem(details, origin) for details in error.errors()]) from error


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read ({error.strerror})"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: is not valid TOML: {error}"]) from error


def _problem(details: object, origin: str) -> str:
    """One line for one key, without the value: it may be a secret."""
    assert isinstance(details, dict)
    key = ".".join(str(part) for part in details["loc"]) or "settings"
    if details["type"] == "extra_forbidden":
        return f"{key}: there is no such setting{origin}"
    return f"{key}: {details['msg'].removeprefix('Value error, ')}"
