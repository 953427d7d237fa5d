"""What the client makes of servers that are down, busy, wrong or broken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backends.base import Message
from backends.errors import BackendError, CallsNoTools, Garbled, Refused, TimedOut, Unavailable
from backends.generation import GenerationRequest
from backends.vllm import Retries, Timeouts, VllmGenerator
from tests.support.model_server import ADAPTER, BASE_MODEL, ModelServer, Plan, model_server

ASKED = GenerationRequest((Message("user", "Hello there"),))
AT_ONCE = Retries(base=0.0)
NEVER = Retries(attempts=0)
HTML = Plan(body=b"<html>It works!</html>", content_type="text/html")


@asynccontextmanager
async def client_of(
    *servers: ModelServer | str,
    retries: Retries = AT_ONCE,
    timeouts: Timeouts | None = None,
    api_key: str | None = None,
) -> AsyncIterator[VllmGenerator]:
    urls = ",".join(one if isinstance(one, str) else one.url for one in servers)
    async with VllmGenerator.open(
        urls, model=BASE_MODEL, retries=retries, timeouts=timeouts, api_key=api_key
    ) as generator:
        yield generator


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """An address that refuses every connection for as long as the context lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def text_of(generator: VllmGenerator, request: GenerationRequest = ASKED) -> str:
    return "".join([chunk.text async for chunk in generator.stream(request)])


async def failure_of(
    plan: Plan,
    *,
    streamed: bool = True,
    retries: Retries = AT_ONCE,
    timeouts: Timeouts | None = None,
) -> BackendError:
    async with (
        model_server() as server,
        client_of(server, retries=retries, timeouts=timeouts) as generator,
    ):
        server.plan(plan, plan, plan)
        with pytest.raises(BackendError) as caught:
            await (text_of(generator) if streamed else generator.complete(ASKED))
    return caught.value


# --- streams that go wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        'tool_choice="required" requires --tool-call-parser to be set',
    ],
)
async def test_a_server_that_is_not_set_up_for_tools_is_told_apart(message: str) -> None:
    error = await failure_of(Plan(status=400, message=message))
    assert isinstance(error, CallsNoTools)
    assert "--enable-auto-tool-choice --tool-call-parser NAME" in error.hint


async def test_a_stream_that_breaks_off_is_garbled() -> None:
    assert isinstance(await failure_of(Plan(cut_after=3)), Garbled)


async def test_a_stream_without_its_end_mark_is_garbled() -> None:
    error = await failure_of(Plan(done=False))
    assert isinstance(error, Garbled)
    assert "before the end mark" in error.problem


async def test_what_came_before_a_break_is_delivered_all_the_same() -> None:
    async with model_server() as server, client_of(server) as generator:
        read_so_far = asyncio.Event()
        server.plan(Plan(hold=read_so_far, hold_at=3, cut_after=3, words="one two three"))
        stream = generator.stream(ASKED)
        assert [(await anext(stream)).text for _ in range(2)] == ["one", " two"]
        read_so_far.set()
        with pytest.raises(Garbled):
            await anext(stream)


async def test_a_stream_that_began_is_not_tried_again() -> None:
    async with model_server() as server, client_of(server) as generator:
        server.plan(Plan(cut_after=1))
        with pytest.raises(Garbled):
            await text_of(generator)
        assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, Refused), (404, Refused), (429, Unavailable), (500, Unavailable), (503, Unavailable)],
)
async def test_an_error_inside_a_stream_is_read_by_its_code(
    code: int, kind: type[BackendError]
) -> None:
    frame = {"error": {"message": "engine says no", "type": "Error", "code": code}}
    error = await failure_of(Plan(cut_after=2, error_frame=frame))
    assert type(error) is kind
    assert "engine says no" in error.problem


async def test_an_error_inside_a_stream_without_a_code_is_garbled() -> None:
    frame = {"error": {"message": "something", "type": "Error", "code": None}}
    assert isinstance(await failure_of(Plan(cut_after=2, error_frame=frame)), Garbled)


async def test_an_event_that_is_not_json_is_garbled() -> None:
    error = await failure_of(Plan(body=b'data: {"choices": [{\n\ndata: [DONE]\n\n'))
    assert isinstance(error, Garbled)


async def test_an_event_of_another_shape_is_garbled() -> None:
    error = await failure_of(Plan(body=b'data: {"choices": [{"delta": "text"}]}\n\n'))
    assert isinstance(error, Garbled)


async def test_a_line_without_end_is_garbled() -> None:
    error = await failure_of(Plan(body=b"data: " + b"x" * (2 << 20)))
    assert isinstance(error, Garbled)


async def test_a_stream_of_nothing_but_its_end_mark_is_garbled() -> None:
    assert isinstance(await failure_of(Plan(body=b"data: [DONE]\n\n")), Garbled)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_web_page_instead_of_an_answer_is_garbled(streamed: bool) -> None:
    error = await failure_of(HTML, streamed=streamed)
    assert isinstance(error, Garbled)
    assert "OpenAI-compatible" in error.hint


# --- whole answers that go wrong -----------------------------------------------------------------


async def test_a_whole_answer_without_choices_is_garbled() -> None:
    plan = Plan(body=b'{"model": "m", "choices": []}', content_type="application/json")
    assert isinstance(await failure_of(plan, streamed=False), Garbled)


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_error_with_status_200_is_read_by_its_code(streamed: bool) -> None:
    body = b'{"object": "error", "message": "too long", "code": 400}'
    error = await failure_of(Plan(body=body, content_type="application/json"), streamed=streamed)
    assert isinstance(error, Refused)
    assert "too long" in error.problem


# --- requests that are refused -------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_bad_request_is_refused_in_the_words_of_the_server(streamed: bool) -> None:
    plan = Plan(status=400, message="This model's maximum context length is 64 tokens.")
    error = await failure_of(plan, streamed=streamed)
    assert isinstance(error, Refused)
    assert error.status == 400
    assert "maximum context length is 64 tokens" in error.problem


async def test_the_words_of_the_server_are_cut_when_they_are_many() -> None:
    error = await failure_of(Plan(status=400, message="very " * 10_000))
    assert len(str(error)) < 500


async def test_a_refused_request_is_not_tried_again() -> None:
    async with model_server() as server, client_of(server) as generator:
        server.plan(Plan(status=400))
        with pytest.raises(Refused):
            await text_of(generator)
        assert len(server.calls) == 1


async def test_an_unknown_model_is_refused_with_the_names_that_are_known() -> None:
    async with model_server() as server, client_of(server) as generator:
        with pytest.raises(Refused) as caught:
            await text_of(generator, GenerationRequest(ASKED.messages, adapter="pirate"))
        assert caught.value.hint == f"It serves {BASE_MODEL}, {ADAPTER}."


async def test_a_redirect_is_refused_and_not_followed() -> None:
    error = await failure_of(Plan(status=307, headers={"Location": "http://127.0.0.1:9/"}))
    assert isinstance(error, Refused)


async def test_a_schema_and_choices_at_once_are_refused() -> None:
    request = GenerationRequest(ASKED.messages, schema={"type": "object"}, choices=("a",))
    async with client_of("http://127.0.0.1:9") as generator:
        with pytest.raises(Refused, match="schema"):
            await generator.complete(request)


async def test_a_header_that_would_break_the_request_is_refused() -> None:
    request = GenerationRequest(ASKED.messages, headers={"traceparent": "00\r\nX-Evil: 1"})
    async with model_server() as server, client_of(server) as generator:
        with pytest.raises(Refused, match="header"):
            await generator.complete(request)


async def test_a_key_that_the_server_repeats_stays_secret() -> None:
    async with model_server() as server, client_of(server, api_key="sk-very") as generator:
        server.plan(Plan(status=401, message="Incorrect API key provided: sk-very"))
        with pytest.raises(Refused) as caught:
            await generator.complete(ASKED)
        assert "sk-very" not in str(caught.value)


async def test_a_password_in_the_address_stays_secret() -> None:
    async with nobody() as url:
        secret = url.replace("http://", "http://me:hunter2@")
        async with client_of(secret) as generator:
            with pytest.raises(Unavailable) as caught:
                await generator.complete(ASKED)
    cause = caught.value.__cause__
    assert "hunter2" not in f"{caught.value} {cause} {cause!r}"


# --- servers that are down or busy ---------------------------------------------------------------


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_refused_connection_is_unavailable_with_a_way_to_start_one(streamed: bool) -> None:
    async with nobody() as url, client_of(url) as generator:
        with pytest.raises(Unavailable) as caught:
            await (text_of(generator) if streamed else generator.complete(ASKED))
    assert "cannot be reached (Connection refused)" in caught.value.problem
    assert "vllm serve" in caught.value.hint


@pytest.mark.parametrize("status", [429, 503])
async def test_an_overloaded_server_is_unavailable(status: int) -> None:
    assert type(await failure_of(Plan(status=status))) is Unavailable


async def test_a_gateway_that_gave_up_waiting_has_timed_out() -> None:
    assert type(await failure_of(Plan(status=504))) is TimedOut


@pytest.mark.parametrize("plan", [Plan(status=503), Plan(status=429), Plan(hang_up=True)])
async def test_a_call_that_got_no_byte_is_tried_again(plan: Plan) -> None:
    async with model_server() as server, client_of(server) as generator:
        server.plan(plan, plan)
        await text_of(generator)
        assert len(server.calls) == 3


async def test_a_call_is_tried_three_times_and_no_more() -> None:
    async with model_server() as server, client_of(server) as generator:
        server.plan(*[Plan(status=503)] * 5)
        with pytest.raises(Unavailable):
            await text_of(generator)
        assert len(server.calls) == 3


async def test_a_server_that_wants_a_long_rest_is_left_alone() -> None:
    async with model_server() as server, client_of(server) as generator:
        server.plan(Plan(status=503, headers={"Retry-After": "3600"}))
        with pytest.raises(Unavailable):
            await text_of(generator)
        assert len(server.calls) == 1


async def test_an_internal_error_is_unavailable_and_not_tried_again() -> None:
    async with model_server() as server, client_of(server) as generator:
        server.plan(Plan(status=500, message="EngineCore died"))
        with pytest.raises(Unavailable, match="EngineCore died"):
            await text_of(generator)
        assert len(server.calls) == 1


async def test_no_first_token_in_time_is_timed_out() -> None:
    plan = Plan(hold=asyncio.Event())
    error = await failure_of(plan, timeouts=Timeouts(first_token=0.05))
    assert isinstance(error, TimedOut)
    assert "no first token within 0.05 s" in error.problem


async def test_silence_in_the_middle_is_timed_out() -> None:
    error = await failure_of(Plan(hold=asyncio.Event(), hold_at=3), timeouts=Timeouts(idle=0.05))
    assert isinstance(error, TimedOut)
    assert "fell silent for 0.05 s" in error.problem


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_call_that_lasts_too_long_is_timed_out(streamed: bool) -> None:
    plan = Plan(hold=asyncio.Event())
    error = await failure_of(plan, streamed=streamed, timeouts=Timeouts(total=0.05))
    assert isinstance(error, TimedOut)
    assert "within 0.05 s" in error.problem


async def test_a_call_that_timed_out_is_not_tried_again() -> None:
    limits = Timeouts(first_token=0.05)
    async with model_server() as server, client_of(server, timeouts=limits) as generator:
        server.plan(Plan(hold=asyncio.Event()))
        with pytest.raises(TimedOut):
            await text_of(generator)
        assert len(server.calls) == 1


async def test_a_call_that_timed_out_ends_on_the_server() -> None:
    limits = Timeouts(first_token=0.05)
    async with model_server() as server, client_of(server, timeouts=limits) as generator:
        server.plan(Plan(hold=asyncio.Event()))
        with pytest.raises(TimedOut):
            await text_of(generator)
        async with asyncio.timeout(1.0):
            await server.client_left.wait()


# --- several servers -----------------------------------------------------------------------------


async def test_a_busy_server_is_spared() -> None:
    async with model_server() as one, model_server() as two, client_of(one, two) as generator:
        one.plan(Plan(hold=asyncio.Event(), hold_at=2))
        two.plan(Plan(hold=asyncio.Event(), hold_at=2))
        lasting = generator.stream(ASKED)
        await anext(lasting)
        for _ in range(3):
            brief = generator.stream(ASKED)
            await anext(brief)
            await brief.aclose()
        await lasting.aclose()
        assert sorted([len(one.calls), len(two.calls)]) == [1, 3]


async def test_a_call_moves_on_when_a_server_is_down() -> None:
    one_more = Retries(attempts=1, base=0.0)
    async with (
        nobody() as url,
        model_server() as up,
        client_of(url, up, retries=one_more) as generator,
    ):
        assert await text_of(generator)


async def test_an_overloaded_server_hands_its_call_to_the_next() -> None:
    async with model_server() as one, model_server() as two, client_of(one, two) as generator:
        one.plan(Plan(status=503, headers={"Retry-After": "3600"}))
        await text_of(generator)
        assert (len(one.calls), len(two.calls)) == (1, 1)


async def test_a_call_that_failed_no_longer_counts_as_work() -> None:
    async with model_server() as one, model_server() as two:
        async with client_of(one, two, retries=NEVER) as generator:
            for server in (one, two):
                server.plan(Plan(status=400))
                with pytest.raises(Refused):
                    await text_of(generator)
            for _ in range(4):
                await text_of(generator)
        assert (len(one.calls), len(two.calls)) == (3, 3)


async def test_a_server_that_is_down_is_not_asked_again_at_once() -> None:
    async with nobody() as url, model_server() as up:
        # Without further attempts, a second call to the server that is down would fail.
        async with client_of(url, up, retries=NEVER) as generator:
            with pytest.raises(Unavailable):
                await text_of(generator)
            for _ in range(4):
                await text_of(generator)
        assert len(up.calls) == 4
