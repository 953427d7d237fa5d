"""Admission, without a socket."""

from __future__ import annotations

import asyncio

import pytest

from router.server.errors import Overloaded, ShuttingDown
from router.server.gate import Gate


async def _hold(gate: Gate, inside: asyncio.Event, release: asyncio.Event) -> None:
    async with gate.admitted():
        inside.set()
        await release.wait()


async def test_a_place_that_becomes_free_goes_to_who_waits() -> None:
    gate = Gate(concurrent=1, waiting=1)
    inside, release, second = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hold(gate, inside, release))
        await inside.wait()
        tasks.create_task(_hold(gate, second, release))
        await asyncio.sleep(0)
        assert (gate.waiting, second.is_set()) == (1, False)
        release.set()
    assert second.is_set()


async def test_whoever_waits_too_long_is_turned_away() -> None:
    gate = Gate(concurrent=1, waiting=1, wait_s=0.01)
    async with gate.admitted():
        with pytest.raises(Overloaded, match=r"0\.01 s"):
            async with gate.admitted():
                pass


async def test_whoever_may_not_wait_is_turned_away_at_once() -> None:
    gate = Gate(concurrent=1, waiting=0, wait_s=600)
    async with gate.admitted():
        with pytest.raises(Overloaded):
            async with gate.admitted():
                pass


async def test_a_failure_frees_the_place() -> None:
    gate = Gate(concurrent=1, waiting=0)
    with pytest.raises(LookupError):
        async with gate.admitted():
            raise LookupError
    async with gate.admitted():
        pass


async def test_a_timeout_of_the_work_itself_stays_what_it_is() -> None:
    gate = Gate(concurrent=1, waiting=0)
    with pytest.raises(TimeoutError):
        async with gate.admitted():
            raise TimeoutError


async def test_giving_up_waiting_frees_the_queue() -> None:
    gate = Gate(concurrent=1, waiting=1)
    async with gate.admitted():
        impatient = asyncio.create_task(_hold(gate, asyncio.Event(), asyncio.Event()))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait((impatient,))
        assert gate.waiting == 0


async def test_a_closed_gate_lets_nobody_in() -> None:
    gate = Gate(concurrent=1, waiting=0)
    gate.close()
    with pytest.raises(ShuttingDown):
        async with gate.admitted():
            pass


async def test_a_gate_is_empty_once_the_last_one_left() -> None:
    gate = Gate(concurrent=2, waiting=0)
    inside, release = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hold(gate, inside, release))
        await inside.wait()
        gate.close()
        empty = tasks.create_task(gate.empty())
        await asyncio.sleep(0)
        assert not empty.done()
        release.set()


async def test_what_is_cut_ends_as_shutting_down() -> None:
    gate = Gate(concurrent=1, waiting=0)
    inside = asyncio.Event()
    held = asyncio.create_task(_hold(gate, inside, asyncio.Event()))
    await inside.wait()
    gate.cut()
    with pytest.raises(ShuttingDown):
        await held


async def test_a_gate_can_close_in_the_tick_in_which_somebodys_wait_is_over() -> None:
    gate = Gate(concurrent=1, waiting=1, wait_s=0)
    async with gate.admitted():
        waiting = asyncio.create_task(_hold(gate, asyncio.Event(), asyncio.Event()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gate.close()
        with pytest.raises(ShuttingDown):
            await waiting


async def test_what_is_in_flight_can_be_cut_twice() -> None:
    gate = Gate(concurrent=1, waiting=0)
    inside = asyncio.Event()
    held = asyncio.create_task(_hold(gate, inside, asyncio.Event()))
    await inside.wait()
    gate.cut()
    await asyncio.sleep(0)
    gate.cut()
    with pytest.raises(ShuttingDown):
        await held
