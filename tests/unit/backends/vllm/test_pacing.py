"""Pauses between attempts, and which server gets a call."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from backends.errors import Misconfigured
from backends.vllm.pacing import Retries
from backends.vllm.replicas import COOL_DOWN_S, Replicas, parse_replicas

ALWAYS_LONGEST = Retries(attempts=3, base=1.0, cap=2.5, uniform=lambda: 1.0)


class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def three(watch: Watch) -> Replicas:
    return Replicas(parse_replicas("http://a:1,http://b:1,http://c:1"), watch)


def test_pauses_grow_twofold_up_to_the_cap() -> None:
    assert [ALWAYS_LONGEST.pause(at) for at in range(4)] == [1.0, 2.0, 2.5, None]


def test_a_pause_may_be_nothing_at_all() -> None:
    assert Retries(uniform=lambda: 0.0).pause(0) == 0.0


def test_the_server_gets_at_least_the_time_that_it_asked_for() -> None:
    assert Retries(cap=3.0, uniform=lambda: 0.0).pause(0, retry_after=2.0) == 2.0


def test_a_server_that_asks_for_too_much_time_is_not_asked_again() -> None:
    assert Retries(cap=3.0).pause(0, retry_after=4.0) is None


def test_calls_that_last_go_to_different_servers() -> None:
    replicas = three(Watch())
    with ExitStack() as stack:
        names = {stack.enter_context(replicas.lease()).name for _ in range(3)}
    assert names == {"a:1", "b:1", "c:1"}


def test_the_server_that_finished_first_gets_the_next_call() -> None:
    replicas = three(Watch())
    with replicas.lease(), replicas.lease():
        with replicas.lease() as finished:
            pass
        with replicas.lease() as next_one:
            assert next_one is finished


def test_short_calls_take_turns() -> None:
    replicas = three(Watch())
    names = []
    for _ in range(4):
        with replicas.lease() as replica:
            names.append(replica.name)
    assert names == ["a:1", "b:1", "c:1", "a:1"]


def test_a_server_that_cools_down_is_left_alone() -> None:
    replicas = three(Watch())
    with replicas.lease() as lost:
        replicas.cool(lost)
    with ExitStack() as stack:
        names = [stack.enter_context(replicas.lease()).name for _ in range(4)]
    assert lost.name not in names


def test_a_server_gets_calls_again_after_its_cool_down() -> None:
    watch = Watch()
    replicas = three(watch)
    with replicas.lease() as lost:
        replicas.cool(lost)
    watch.now += COOL_DOWN_S
    with replicas.lease(), replicas.lease(), replicas.lease() as third:
        assert third is lost


def test_when_all_cool_down_the_first_to_end_is_tried() -> None:
    watch = Watch()
    replicas = three(watch)
    for seconds in (3.0, 1.0, 2.0):
        with replicas.lease() as replica:
            replicas.cool(replica, seconds)
    with replicas.lease() as chosen:
        assert chosen.name == "b:1"


def test_a_call_tries_a_busy_server_before_it_comes_back_to_one_that_failed_it() -> None:
    replicas = Replicas(parse_replicas("http://a:1,http://b:1"), Watch())
    with replicas.lease() as failed:
        pass
    with replicas.lease() as busy, replicas.lease(avoid=[failed]) as chosen:
        assert chosen is busy


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://a:8000", "http://a:8000/v1"),
        ("http://a:8000/v1/", "http://a:8000/v1"),
        ("https://a/models/v1", "https://a/models/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_an_address_may_end_with_v1_or_not(written: str, url: str) -> None:
    assert parse_replicas(written)[0].url == url


def test_a_password_leaves_the_address_for_the_header() -> None:
    (replica,) = parse_replicas("http://me:s%40crt@a:8000")
    assert (replica.name, replica.url, replica.authorization) == (
        "a:8000",
        "http://a:8000/v1",
        "Basic bWU6c0BjcnQ=",
    )


@pytest.mark.parametrize("written", ["", " , ", "a:8000", "ftp://me:secret@a", "http://a:x"])
def test_what_is_not_an_http_address_is_misconfigured(written: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_replicas(written)
    assert "secret" not in str(caught.value)
