"""Chat completions as OpenAI's own client reads them, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

from backends.base import Message
from backends.generation import ModelCard, Sampling
from router.policy import Route
from tests.support.server import (
    ANSWER,
    PIECES,
    TEXT,
    TRACE_ID,
    Door,
    ScriptedRouter,
    served,
)

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "How long may I return boots?"}
]


@asynccontextmanager
async def client_of(door: Door) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{door.url}/v1", api_key="unused", max_retries=0, timeout=10
    ) as client:
        yield client


async def complete(router: ScriptedRouter, **request: Any) -> ChatCompletion:
    async with served(router) as door, client_of(door) as client:
        answer: ChatCompletion = await client.chat.completions.create(
            **{"model": "auto", "messages": QUESTION, **request}
        )
    return answer


async def chunks_of(router: ScriptedRouter, **request: Any) -> list[ChatCompletionChunk]:
    async with served(router) as door, client_of(door) as client:
        stream = await client.chat.completions.create(
            **{"model": "auto", "messages": QUESTION, "stream": True, **request}
        )
        return [chunk async for chunk in stream]


async def asked_with(**request: Any) -> ScriptedRouter:
    router = ScriptedRouter(cards=[ModelCard("house-voice", base="base-model")])
    await complete(router, **request)
    return router


async def test_an_answer_comes_as_a_chat_completion() -> None:
    answer = await complete(ScriptedRouter())
    message = answer.choices[0].message
    assert (message.role, message.content, message.refusal) == ("assistant", TEXT, None)


async def test_an_answer_says_which_kind_of_object_it_is() -> None:
    answer = await complete(ScriptedRouter())
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.created > 1_700_000_000
    assert answer.model == "auto"


async def test_an_answer_says_how_it_ended() -> None:
    router = ScriptedRouter(answer=replace(ANSWER, finish_reason="length"))
    assert (await complete(router)).choices[0].finish_reason == "length"


async def test_an_end_that_clients_do_not_know_is_called_stop() -> None:
    router = ScriptedRouter(answer=replace(ANSWER, finish_reason="abort"))
    assert (await complete(router)).choices[0].finish_reason == "stop"


async def test_an_answer_counts_its_tokens() -> None:
    usage = (await complete(ScriptedRouter())).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (40, 9, 49)


async def test_citations_come_as_annotations_of_the_text() -> None:
    answer = await complete(ScriptedRouter())
    (annotation,) = answer.choices[0].message.annotations or []
    cited = annotation.url_citation
    assert TEXT[cited.start_index : cited.end_index] == "[1]"
    assert (cited.title, cited.url) == ("Returns", "urn:router:passage:p%2F1%20%C3%BC")


async def test_a_citation_of_a_web_page_links_to_it() -> None:
    page = replace(ANSWER.citations[0], source="https://example.org/returns")
    answer = await complete(ScriptedRouter(answer=replace(ANSWER, citations=(page,))))
    (annotation,) = answer.choices[0].message.annotations or []
    assert annotation.url_citation.url == "https://example.org/returns"


async def test_an_answer_says_why_it_is_what_it_is() -> None:
    answer = await complete(ScriptedRouter())
    why = answer.model_extra["router"]  # type: ignore[index]  # ours, beyond OpenAI's shape
    assert why["decision"]["route"] == "factual"
    assert why["citations"][0]["quote"] == "within 30 days"
    assert why["timings_ms"] == {"classify": 1.23, "total": 5.68}
    assert (why["degraded"], why["abstained"]) == (None, False)
    assert why["standalone_question"] == "How long may I return boots?"
    assert why["trace_id"] == TRACE_ID


def test_the_synchronous_client_reads_answers_too() -> None:
    async def scenario() -> str | None:
        async with served() as door:
            return await asyncio.to_thread(blocking, door.url)

    def blocking(url: str) -> str | None:
        with OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
            whole = client.chat.completions.create(model="auto", messages=QUESTION)
            return whole.choices[0].message.content

    assert asyncio.run(scenario()) == TEXT


def test_the_synchronous_client_reads_streams_too() -> None:
    async def scenario() -> str:
        async with served() as door:
            return await asyncio.to_thread(blocking, door.url)

    def blocking(url: str) -> str:
        with OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
            stream = client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert asyncio.run(scenario()) == TEXT


async def test_a_stream_brings_the_answer_piece_by_piece() -> None:
    chunks = await chunks_of(ScriptedRouter())
    pieces = [chunk.choices[0].delta.content for chunk in chunks[1:-1]]
    assert tuple(pieces) == PIECES


async def test_a_stream_opens_with_the_role() -> None:
    first = (await chunks_of(ScriptedRouter()))[0].choices[0]
    assert (first.delta.role, first.delta.content, first.finish_reason) == ("assistant", "", None)


async def test_only_the_last_chunk_of_a_stream_has_a_finish_reason() -> None:
    chunks = await chunks_of(ScriptedRouter())
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]


async def test_all_chunks_of_a_stream_share_one_id() -> None:
    chunks = await chunks_of(ScriptedRouter())
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1


async def test_the_finishing_chunk_has_the_citations() -> None:
    last = (await chunks_of(ScriptedRouter()))[-1].choices[0]
    (annotation,) = (last.delta.model_extra or {})["annotations"]
    assert annotation["url_citation"]["title"] == "Returns"


async def test_the_first_chunk_has_the_decision() -> None:
    first = (await chunks_of(ScriptedRouter()))[0]
    assert (first.model_extra or {})["router"]["decision"]["route"] == "factual"


async def test_the_finishing_chunk_says_why_the_answer_is_what_it_is() -> None:
    last = (await chunks_of(ScriptedRouter()))[-1]
    assert (last.model_extra or {})["router"]["trace_id"] == TRACE_ID


async def test_a_stream_counts_tokens_when_asked_to() -> None:
    chunks = await chunks_of(ScriptedRouter(), stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 49


async def test_a_stream_that_counts_has_an_empty_usage_on_every_other_chunk() -> None:
    frames = await frames_of(ScriptedRouter(), stream_options={"include_usage": True})
    assert [frame.get("usage", "absent") for frame in frames[:-1]] == [None] * (len(frames) - 1)


async def test_a_stream_that_does_not_count_has_no_usage() -> None:
    frames = await frames_of(ScriptedRouter())
    assert not any("usage" in frame for frame in frames)


async def test_a_stream_without_tokens_still_finishes() -> None:
    router = ScriptedRouter(pieces=(), answer=replace(ANSWER, text="", citations=()))
    chunks = await chunks_of(router)
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, "stop"]


async def test_a_stream_ends_with_the_mark() -> None:
    async with served() as door:
        body = (await post(door, stream=True)).text
    assert body.endswith("data: [DONE]\n\n")


async def test_letters_of_any_script_arrive_unharmed() -> None:
    words = "Grüße, 你好 👋🏽 "
    chunks = await chunks_of(ScriptedRouter(pieces=(words, words)))
    assert [chunk.choices[0].delta.content for chunk in chunks[1:-1]] == [words, words]


async def test_the_principal_comes_from_the_header() -> None:
    router = await asked_with(extra_headers={"X-Router-Principal": "user:ana,group:hr"})
    assert router.calls[0].principal == "user:ana,group:hr"


async def test_a_principal_may_have_letters_of_any_script() -> None:
    router = ScriptedRouter()
    async with served(router) as door, httpx2.AsyncClient() as client:
        await client.post(
            f"{door.url}/v1/chat/completions",
            json={"model": "auto", "messages": QUESTION},
            headers={b"X-Router-Principal": "user:jürgen".encode()},
        )
    assert router.calls[0].principal == "user:jürgen"


async def test_without_the_header_the_question_is_anonymous() -> None:
    router = await asked_with()
    assert router.calls[0].principal == "everyone"


async def test_the_body_cannot_set_the_principal() -> None:
    router = await asked_with(
        user="user:ceo", extra_body={"principal": "user:ceo", "X-Router-Principal": "user:ceo"}
    )
    assert router.calls[0].principal == "everyone"


async def test_who_is_anonymous_can_be_set() -> None:
    router = ScriptedRouter()
    async with served(router, anonymous="group:visitors") as door:
        await post(door)
    assert router.calls[0].principal == "group:visitors"


async def test_auto_leaves_the_route_to_the_router() -> None:
    router = await asked_with(model="auto")
    assert (router.calls[0].route, router.calls[0].adapter) == (None, None)


async def test_a_route_can_be_asked_for_as_model() -> None:
    router = await asked_with(model="hybrid")
    assert (router.calls[0].route, router.calls[0].adapter) == (Route.HYBRID, None)


async def test_an_adapter_can_be_asked_for_as_model() -> None:
    router = await asked_with(model="house-voice")
    assert (router.calls[0].route, router.calls[0].adapter) == (Route.BEHAVIOURAL, "house-voice")


async def test_sampling_is_passed_on() -> None:
    router = await asked_with(temperature=0.5, top_p=0.9, max_tokens=7, seed=3, stop=["a", "b"])
    assert router.calls[0].sampling == Sampling(
        max_tokens=7, temperature=0.5, top_p=0.9, seed=3, stop=("a", "b")
    )


async def test_the_newer_name_of_the_token_limit_counts() -> None:
    router = await asked_with(max_tokens=7, max_completion_tokens=5, stop="a")
    assert router.calls[0].sampling == Sampling(max_tokens=5, stop=("a",))


async def test_a_json_schema_is_passed_on() -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    router = await asked_with(response_format=wanted)
    assert router.calls[0].schema == schema


async def test_a_json_object_is_a_schema_as_well() -> None:
    router = await asked_with(response_format={"type": "json_object"})
    assert router.calls[0].schema == {"type": "object"}


async def test_a_conversation_is_passed_on_with_developers_as_system() -> None:
    router = await asked_with(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi!"},
            {"role": "user", "content": [{"type": "text", "text": "And "}, *_texts("boots?")]},
        ]
    )
    assert router.calls[0].conversation == (
        Message("system", "Be brief."),
        Message("user", "Hello"),
        Message("assistant", "Hi!"),
        Message("user", "And boots?"),
    )


async def test_fields_that_change_nothing_are_ignored() -> None:
    router = await asked_with(
        n=1, logprobs=False, tools=[], frequency_penalty=0, store=True, metadata={"a": "b"}
    )
    assert len(router.calls) == 1


async def test_trace_headers_are_passed_on() -> None:
    parent = f"00-{TRACE_ID}-b7ad6b7169203331-01"
    router = await asked_with(extra_headers={"traceparent": parent, "tracestate": "a=b"})
    assert router.calls[0].traceparent == {"traceparent": parent, "tracestate": "a=b"}


async def test_an_answer_has_its_trace_and_route_in_the_headers() -> None:
    async with served() as door:
        headers = (await post(door)).headers
    assert headers["x-router-trace-id"] == TRACE_ID
    assert headers["x-router-route"] == "factual"


async def test_a_stream_has_its_trace_and_route_in_the_headers() -> None:
    async with served() as door:
        headers = (await post(door, stream=True)).headers
    assert headers["x-router-trace-id"] == TRACE_ID
    assert headers["x-router-route"] == "factual"


async def test_a_request_id_is_echoed() -> None:
    async with served() as door:
        headers = (await post(door, headers={"x-request-id": "chat-7/turn-2"})).headers
    assert headers["x-request-id"] == "chat-7/turn-2"


async def test_a_request_id_is_made_for_a_request_with_none_or_a_bad_one() -> None:
    async with served() as door:
        headers = (await post(door, headers={"x-request-id": "spaces are bad"})).headers
    assert len(headers["x-request-id"]) == 32


async def test_a_request_leaves_one_line_in_the_log_without_its_question() -> None:
    async with served() as door:
        await post(door)
    logged = door.log.getvalue()
    (line,) = [json.loads(line) for line in logged.splitlines() if '"request"' in line]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (line["route"], line["trace_id"]) == ("factual", TRACE_ID)
    assert line["ms"] > 0
    assert "boots" not in logged


def _texts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


async def post(
    door: Door, *, headers: dict[str, str] | None = None, **body: Any
) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=10) as client:
        return await client.post(
            f"{door.url}/v1/chat/completions",
            json={"model": "auto", "messages": QUESTION, **body},
            headers=headers,
        )


async def frames_of(router: ScriptedRouter, **body: Any) -> list[dict[str, Any]]:
    async with served(router) as door:
        text = (await post(door, stream=True, **body)).text
    data = [frame.removeprefix("data: ") for frame in text.split("\n\n") if frame]
    return [json.loads(each) for each in data if each != "[DONE]"]
