"""Whatever a caller sends, the answer is an error that names what is wrong, in OpenAI's shape."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from backends.generation import ModelCard
from router.errors import (
    ConfigurationFault,
    DeadlineExceeded,
    DecisionUnavailable,
    InvalidRequest,
    ModelUnavailable,
    RetrievalUnavailable,
    RouterError,
    UnknownModel,
    UpstreamFailed,
)
from tests.support.server import TRACE_ID, Door, ScriptedRouter, served, served_in_thread

LIMIT = 20_000
ASK = [{"role": "user", "content": "How long may I return boots?"}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module", name="door")
def _door() -> Iterator[Door]:
    router = ScriptedRouter(cards=[ModelCard("house-voice")])
    with served_in_thread(router, max_body_bytes=LIMIT) as door:
        yield door


def post(door: Door, path: str = CHAT, **request: Any) -> httpx2.Response:
    with httpx2.Client(base_url=door.url, timeout=10) as client:
        return client.post(path, **request)


def ask(door: Door, **body: Any) -> httpx2.Response:
    return post(door, json={"model": "auto", "messages": ASK, **body})


def error_of(response: httpx2.Response) -> dict[str, Any]:
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("n", True),
        ("n", "1"),
        ("tools", "all"),
        ("tools", ["f"]),
        ("parallel_tool_calls", "yes"),
        ("functions", [{"name": "f"}]),
        ("tool_choice", "required"),
        ("function_call", {"name": "f"}),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"1": 5}),
        ("frequency_penalty", 0.5),
        ("presence_penalty", 1),
        ("audio", {"voice": "alloy", "format": "mp3"}),
        ("modalities", ["text", "audio"]),
        ("web_search_options", {}),
        ("temperature", 2.5),
        ("temperature", -1),
        ("temperature", "hot"),
        ("top_p", 1.5),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("max_tokens", "7"),
        ("max_completion_tokens", -1),
        ("seed", "x"),
        ("stop", 7),
        ("stop", ""),
        ("stop", ["a", ""]),
        ("stop", ["a", 1]),
        ("stop", ["a"] * 5),
        ("stream", "yes"),
        ("stream_options", {"include_usage": True}),
        ("model", None),
        ("model", 7),
        ("messages", None),
        ("messages", []),
        ("messages", "hello"),
        ("messages", {"role": "user"}),
    ],
)
def test_a_field_that_cannot_be_served_is_named(door: Door, field: str, value: object) -> None:
    response = ask(door, **{field: value})
    error = error_of(response)
    assert (response.status_code, error["param"]) == (400, field)
    assert error["type"] == "invalid_request_error"
    assert field in error["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
        ),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_a_field_within_a_field_is_named(door: Door, change: dict[str, Any], param: str) -> None:
    response = ask(door, **change)
    assert (response.status_code, error_of(response)["param"]) == (400, param)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("hello", "messages[0]"),
        (None, "messages[0]"),
        ({"content": "hello"}, "messages[0].role"),
        ({"role": "tool", "content": "42", "tool_call_id": "1"}, "messages[0].role"),
        ({"role": "function", "content": "42", "name": "f"}, "messages[0].role"),
        ({"role": ["user"], "content": "hello"}, "messages[0].role"),
        ({"role": "wizard", "content": "hello"}, "messages[0].role"),
        ({"role": "assistant", "content": "hello"}, "messages[0].role"),
        ({"role": "system", "content": "hello"}, "messages[0].role"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages[0].role"),
        ({"role": "tool", "content": "18 degrees"}, "messages[0].role"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "messages[0].function_call"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        ({"role": "user", "content": {"text": "hello"}}, "messages[0].content"),
        ({"role": "user", "content": ""}, "messages[0].content"),
        ({"role": "user", "content": " \n"}, "messages[0].content"),
        ({"role": "user", "content": []}, "messages[0].content"),
        ({"role": "user", "content": ["hello"]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "text", "text": 7}]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": ["text"], "text": "a"}]}, "messages[0].content[0]"),
        (
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ],
            },
            "messages[0].content[1]",
        ),
    ],
)
def test_a_message_that_cannot_be_read_is_named(door: Door, message: object, param: str) -> None:
    response = ask(door, messages=[message])
    assert (response.status_code, error_of(response)["param"]) == (400, param)


def test_a_conversation_must_end_with_the_user(door: Door) -> None:
    response = ask(door, messages=[*ASK, {"role": "assistant", "content": "30 days"}])
    assert error_of(response)["param"] == "messages[1].role"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"model": "auto", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": ' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    ],
    ids=["empty", "cut", "text", "not UTF-8", "half a surrogate pair", "very deep"],
)
def test_a_body_that_is_not_json_is_refused(door: Door, body: bytes) -> None:
    response = post(door, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "not valid JSON" in error_of(response)["message"]


@pytest.mark.parametrize("body", [b"[]", b'"hello"', b"7", b"null"])
def test_a_body_that_is_not_an_object_is_refused(door: Door, body: bytes) -> None:
    response = post(door, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["param"]) == (400, None)


def test_numbers_that_json_does_not_have_are_refused(door: Door) -> None:
    body = json.dumps({"model": "auto", "messages": ASK, "temperature": float("nan")})
    response = post(door, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["param"]) == (400, "temperature")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused(door: Door, kind: str) -> None:
    body = json.dumps({"model": "auto", "messages": ASK}).encode()
    response = post(door, content=body, headers={"content-type": kind})
    assert (response.status_code, error_of(response)["code"]) == (415, "unsupported_media_type")


def test_a_content_type_may_have_parameters(door: Door) -> None:
    body = json.dumps({"model": "auto", "messages": ASK}).encode()
    kind = "Application/JSON; charset=utf-8"
    assert post(door, content=body, headers={"content-type": kind}).status_code == 200


def test_a_compressed_body_is_refused(door: Door) -> None:
    body = gzip.compress(json.dumps({"model": "auto", "messages": ASK}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert post(door, content=body, headers=headers).status_code == 415


def test_a_body_that_announces_too_many_bytes_is_refused(door: Door) -> None:
    response = ask(door, messages=[{"role": "user", "content": "x" * LIMIT}])
    assert response.status_code == 413
    assert f"{LIMIT} bytes" in error_of(response)["message"]


def test_a_body_that_hides_its_length_is_counted(door: Door) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 1_000

    response = post(door, content=endless(), headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["code"]) == (413, "body_too_large")


def test_a_body_far_above_the_limit_still_gets_its_answer(door: Door) -> None:
    response = ask(door, messages=[{"role": "user", "content": "x" * 8_000_000}])
    assert response.status_code == 413


def test_a_length_that_is_no_number_is_refused(door: Door) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n"
    assert raw(door, head.encode()).startswith(b"HTTP/1.1 400 ")


def test_what_is_not_http_is_refused(door: Door) -> None:
    assert raw(door, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "principal",
    ["ana", "user:", "user:a b", "admin:ana", "user:ana,hr", "user:ana group:hr", "", ","],
)
def test_a_malformed_principal_is_refused_by_the_name_of_its_header(
    door: Door, principal: str
) -> None:
    response = post(
        door, json={"model": "auto", "messages": ASK}, headers={"X-Router-Principal": principal}
    )
    error = error_of(response)
    assert (response.status_code, error["param"]) == (400, "X-Router-Principal")
    assert "X-Router-Principal" in error["message"]


def test_a_principal_that_is_not_utf8_is_refused(door: Door) -> None:
    headers = {b"X-Router-Principal": b"user:j\xfcrgen"}
    response = post(door, json={"model": "auto", "messages": ASK}, headers=headers)
    assert (response.status_code, error_of(response)["param"]) == (400, "X-Router-Principal")


def test_two_principal_headers_are_refused(door: Door) -> None:
    twice = [("X-Router-Principal", "user:ana"), ("X-Router-Principal", "user:ceo")]
    response = post(door, json={"model": "auto", "messages": ASK}, headers=twice)
    assert (response.status_code, error_of(response)["param"]) == (400, "X-Router-Principal")


def test_a_trace_header_that_is_malformed_harms_nobody(door: Door) -> None:
    headers = {"traceparent": "not-a-trace"}
    response = post(door, json={"model": "auto", "messages": ASK}, headers=headers)
    assert response.status_code == 200


def test_a_model_that_nobody_has_is_not_found(door: Door) -> None:
    response = ask(door, model="gpt-9")
    error = error_of(response)
    assert response.status_code == 404
    assert (error["param"], error["code"]) == ("model", "model_not_found")


def test_a_path_that_does_not_exist_is_not_found(door: Door) -> None:
    response = post(door, "/v1/embeddings", json={})
    assert (response.status_code, error_of(response)["code"]) == (404, "not_found")


def test_a_wrong_method_is_refused_and_told_the_right_one(door: Door) -> None:
    response = httpx2.get(f"{door.url}{CHAT}")
    assert (response.status_code, error_of(response)["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_an_error_has_a_request_id(door: Door) -> None:
    response = httpx2.get(f"{door.url}/nowhere", headers={"x-request-id": "r-1"})
    assert response.headers["x-request-id"] == "r-1"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (InvalidRequest("Too long.", field="messages"), 400, "invalid_request"),
        (UnknownModel("No such adapter.", field="model"), 404, "model_not_found"),
        (ModelUnavailable("It is down."), 503, "model_unavailable"),
        (RetrievalUnavailable("It is down."), 503, "retrieval_unavailable"),
        (DecisionUnavailable("It is busy."), 503, "decision_unavailable"),
        (DeadlineExceeded("Too slow."), 504, "deadline_exceeded"),
        (UpstreamFailed("Nonsense."), 502, "upstream_failed"),
        (ConfigurationFault("Wrong extension."), 500, "configuration_fault"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_before_the_first_token_has_its_status(
    failure: RouterError, status: int, code: str, stream: bool
) -> None:
    async with served(ScriptedRouter(failure=failure)) as door:
        response = await post_async(door, stream=stream)
    error = error_of(response)
    assert (response.status_code, error["code"]) == (status, code)
    assert error["message"] == failure.public


async def test_what_fails_before_the_first_token_has_its_trace_in_the_headers() -> None:
    async with served(ScriptedRouter(failure=ModelUnavailable("It is down."))) as door:
        response = await post_async(door, stream=True)
    assert response.headers["x-router-trace-id"] == TRACE_ID


async def test_what_may_work_later_says_when_to_come_back() -> None:
    async with served(ScriptedRouter(failure=RetrievalUnavailable("It is down."))) as door:
        response = await post_async(door)
    assert int(response.headers["retry-after"]) > 0


async def test_what_took_too_long_is_not_to_be_tried_again_at_once() -> None:
    async with served(ScriptedRouter(failure=DeadlineExceeded("Too slow."))) as door:
        response = await post_async(door)
    assert response.headers["x-should-retry"] == "false"


async def test_an_unexpected_failure_says_nothing_but_where_to_look() -> None:
    async with served(ScriptedRouter(failure=LookupError("secret words"))) as door:
        response = await post_async(door)
    error = error_of(response)
    assert (response.status_code, error["code"]) == (500, "internal_error")
    assert "secret words" not in response.text
    assert TRACE_ID in error["message"]


async def test_an_unexpected_failure_is_logged_with_its_place_but_without_its_words() -> None:
    async with served(ScriptedRouter(failure=LookupError("secret words"))) as door:
        await post_async(door)
    logged = door.log.getvalue()
    assert "LookupError" in logged
    assert "_obstacle" in logged
    assert "secret words" not in logged


@pytest.mark.parametrize("failure", [UpstreamFailed("Cut off."), LookupError("secret words")])
async def test_what_fails_in_the_middle_of_a_stream_ends_it_with_an_error_frame(
    failure: Exception,
) -> None:
    async with served(ScriptedRouter(failure=failure, fail_after=1)) as door:
        response = await post_async(door, stream=True)
    assert response.status_code == 200
    *_, frame, end = response.text.strip().split("\n\n")
    assert "error" in json.loads(frame.removeprefix("data: "))
    assert end == "data: [DONE]"


def raw(door: Door, data: bytes) -> bytes:
    """Send bytes as they are and return everything that comes back."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


async def post_async(door: Door, **body: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=10) as client:
        return await client.post(
            f"{door.url}{CHAT}", json={"model": "auto", "messages": ASK, **body}
        )
