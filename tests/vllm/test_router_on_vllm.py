"""The whole router on a real vLLM: the library and the HTTP door, streamed and not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr

from backends.generation import Sampling
from backends.ingest import ingest_bytes
from backends.principals import parse_principals
from router import Finished, Route, Router, Settings, Token
from tests.support.real_vllm import RealVllm
from tests.support.server import served_router

pytestmark = pytest.mark.vllm

BRIEF = Sampling(max_tokens=24, temperature=0.0, seed=1)
BOOTS = b"# Returns\n\nUnworn boots may be returned within 45 days of delivery for a full refund.\n"
REPLY = "Write a friendly reply to a customer asking how long unworn boots may be returned"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the embedder is built once."""
    return tmp_path_factory.mktemp("home")


@asynccontextmanager
async def opened(real_vllm: RealVllm, database_url: str, home: Path) -> AsyncIterator[Router]:
    """A router on the real model server that knows one document."""
    settings = Settings(home=home, database_url=SecretStr(database_url), vllm_url=(real_vllm.url,))
    async with Router.open(settings) as router:
        await ingest_bytes(
            "returns.md",
            BOOTS,
            store=router.documents,
            embedder=router.embedder,
            acl=parse_principals("everyone"),
        )
        yield router


async def test_a_behavioural_question_is_answered_by_the_adapter_that_was_named(
    real_vllm: RealVllm, database_url: str, home: Path
) -> None:
    async with opened(real_vllm, database_url, home) as router:
        answers = {
            adapter: await router.ask(
                "Say hello like a pirate", principal="user:ana", adapter=adapter, sampling=BRIEF
            )
            for adapter in (real_vllm.base_model, real_vllm.adapter)
        }

    assert {answer.decision.route for answer in answers.values()} == {Route.BEHAVIOURAL}
    assert answers[real_vllm.adapter].model == real_vllm.adapter
    assert answers[real_vllm.adapter].text != answers[real_vllm.base_model].text


async def test_a_hybrid_question_is_streamed_with_its_evidence(
    real_vllm: RealVllm, database_url: str, home: Path
) -> None:
    async with opened(real_vllm, database_url, home) as router:
        events = [
            event
            async for event in router.stream(
                REPLY, principal="user:ana", route="hybrid", sampling=BRIEF
            )
        ]

    finished = events[-1]
    assert isinstance(finished, Finished)
    answer = finished.answer
    shown = "".join(event.text for event in events if isinstance(event, Token))
    assert shown == answer.text
    assert answer.evidence is not None
    assert "45 days" in answer.evidence.passages[0].passage.text
    assert answer.usage.output_tokens > 0
    # The tiny model babbles, so it supports nothing, and the answer owns up to that.
    assert answer.citations == ()
    assert "no passage" in str(answer.degraded)


async def test_the_openai_client_reaches_the_adapter_through_the_door(
    real_vllm: RealVllm, database_url: str, home: Path
) -> None:
    turns: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello"}]
    adapter = real_vllm.adapter
    async with (
        opened(real_vllm, database_url, home) as router,
        served_router(router) as (port, _, _),
        AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client,
    ):
        listed = [model.id async for model in client.models.list()]
        whole = await client.chat.completions.create(
            model=adapter, messages=turns, max_tokens=24, temperature=0
        )
        stream = await client.chat.completions.create(
            model=adapter, messages=turns, max_tokens=24, temperature=0, stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]

    assert real_vllm.adapter in listed
    assert whole.choices[0].message.content == "".join(pieces)
    assert len(pieces) > 2
