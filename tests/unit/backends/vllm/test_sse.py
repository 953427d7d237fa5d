"""The event stream, however the network cuts it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.vllm.sse import EventStream, MalformedStream

STREAM = (
    "\ufeff: hello\r\n"
    'data: {"a": "Grüße 👋"}\r\n\r\n'
    "event: x\rdata: one\rdata:two\r\r"
    "data\n\n"
    "data: [DONE]\n\n"
)
EVENTS = ['{"a": "Grüße 👋"}', "one\ntwo", "", "[DONE]"]


def feed(stream: EventStream, pieces: list[bytes]) -> list[str]:
    return [event for piece in pieces for event in stream.feed(piece)]


@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=8))
def test_events_do_not_depend_on_where_the_bytes_are_cut(cuts: list[int]) -> None:
    data = STREAM.encode()
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    assert feed(EventStream(), pieces) == EVENTS


def test_single_bytes_make_the_same_events() -> None:
    data = STREAM.encode()
    assert feed(EventStream(), [data[at : at + 1] for at in range(len(data))]) == EVENTS


def test_an_event_comes_as_soon_as_its_empty_line_is_there() -> None:
    assert EventStream().feed(b"data: now\r\n\r") == ["now"]


def test_comments_and_other_fields_say_nothing() -> None:
    assert EventStream().feed(b": ping\nid: 7\nretry: 3\ndatabase: no\n\n") == []


def test_an_event_without_its_empty_line_is_not_an_event() -> None:
    assert EventStream().feed(b"data: half\n") == []


def test_a_line_separator_of_unicode_does_not_end_a_line() -> None:
    assert EventStream().feed("data: a\u2028b\n\n".encode()) == ["a\u2028b"]


def test_a_line_without_end_is_malformed() -> None:
    stream = EventStream(max_bytes=10)
    stream.feed(b"data: 123")
    with pytest.raises(MalformedStream, match="longer than 10 bytes"):
        stream.feed(b"4567")


def test_an_event_of_endless_lines_is_malformed() -> None:
    stream = EventStream(max_bytes=10)
    with pytest.raises(MalformedStream, match="longer than 10 bytes"):
        feed(stream, [b"data:\n"] * 3)


def test_an_event_that_is_not_utf_8_is_malformed() -> None:
    with pytest.raises(MalformedStream, match="not UTF-8 at byte 1"):
        EventStream().feed(b"data: a\xff\n\n")
