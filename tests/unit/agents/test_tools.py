"""Tool calls arrive in pieces and leave whole."""

from __future__ import annotations

from agents.tools import ToolCalls

OPENING = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}


def test_nothing_fed_is_no_call() -> None:
    assert not ToolCalls()


def test_arguments_grow_and_the_index_goes() -> None:
    calls = ToolCalls()
    for piece in ('{"n"', ": 1}"):
        calls.feed([{"index": 0, "function": {"arguments": piece}}])
    assert calls.whole() == ({"function": {"arguments": '{"n": 1}'}},)


def test_what_comes_once_stays_as_it_came() -> None:
    calls = ToolCalls()
    calls.feed([OPENING, {"index": 0, "id": None, "function": {"arguments": "{}"}}])
    function = {"name": "f", "arguments": "{}"}
    assert calls.whole() == ({"id": "a", "type": "function", "function": function},)


def test_calls_stand_in_the_order_of_their_indexes() -> None:
    calls = ToolCalls()
    calls.feed([{"index": 1, "id": "b"}, {"index": 0, "id": "a"}])
    assert [call["id"] for call in calls.whole()] == ["a", "b"]


def test_calls_without_an_index_are_calls_of_their_own() -> None:
    calls = ToolCalls()
    calls.feed([{"id": "a"}, {"id": "b"}])
    assert [call["id"] for call in calls.whole()] == ["a", "b"]
