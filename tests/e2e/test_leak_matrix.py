"""The leak matrix: principals by doors, on a whole router with canary documents in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from backends.ingest import ingest_bytes
from backends.principals import parse_principals
from router.errors import InvalidRequest, UnknownPassage
from tests.support.leaks import (
    ASKERS,
    QUESTION,
    WHOLE,
    Asker,
    Cell,
    House,
    measured,
    measured_commands,
    open_house,
    publish,
    table,
    visible,
)

ANSWERING = ("Router.ask", "Router.stream", "POST /v1/chat/completions", "… streamed", "spans")
HR = "user:bob,group:hr"


@pytest.fixture(scope="module", name="cells")
def _cells(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Cell]:
    async def run() -> Sequence[Cell]:
        async with open_house(tmp_path_factory.mktemp("house")) as house:
            commanded = [one for one in ASKERS if one.name in ("everyone", "group:HR")]
            return [*await measured(house), *await measured_commands(house, commanded)]

    return asyncio.run(run())


def test_nobody_sees_anything_that_they_may_not_see(cells: Sequence[Cell]) -> None:
    leaks = [f"{cell.asker.name} at {cell.door}" for cell in cells if cell.leaked]

    assert leaks == [], table(cells)


def test_doors_that_show_everything_show_all_that_may_be_seen(cells: Sequence[Cell]) -> None:
    whole = [cell for cell in cells if cell.door in WHOLE]

    assert len(whole) == len(WHOLE) * len(ASKERS)
    assert [cell for cell in whole if cell.seen != cell.allowed] == []


def test_doors_that_answer_show_something_to_whoever_may_see_it(cells: Sequence[Cell]) -> None:
    answering = [cell for cell in cells if cell.door in ANSWERING and cell.allowed]

    assert len(answering) == len(ANSWERING) * (len(ASKERS) - 1)
    assert [cell for cell in answering if not cell.seen] == []


def test_whoever_is_nobody_sees_nothing_at_any_door(cells: Sequence[Cell]) -> None:
    nobody = [cell for cell in cells if cell.asker.principal is None]

    assert nobody
    assert not any(cell.seen for cell in nobody)


def test_decisions_and_the_log_hold_no_document(cells: Sequence[Cell]) -> None:
    quiet = [cell for cell in cells if cell.door in ("Router.decide", "POST /v1/decisions", "log")]

    assert len(quiet) == 3 * len(ASKERS)
    assert not any(cell.seen for cell in quiet)


def test_commands_show_what_those_may_see_whom_they_are_run_for(cells: Sequence[Cell]) -> None:
    searched = [cell for cell in cells if cell.door in ("cli search", "cli documents")]

    assert len(searched) == 4
    assert all(cell.seen == cell.allowed for cell in searched)


def test_a_leak_would_be_seen_in_the_table() -> None:
    leak = Cell(ASKERS[0], "some door", frozenset({"word"}), frozenset())

    assert leak.leaked == {"word"}
    assert "✗" in table([leak]).splitlines()[1]


async def test_what_is_hidden_and_what_is_not_there_look_the_same(
    database_url: str, tmp_path: Path
) -> None:
    async with open_house(tmp_path, database_url) as house:
        hidden = [one for one in house.canaries if one.word not in visible(house, _as("user:bob"))]
        headers = {"X-Router-Principal": "user:bob"}
        answers = [
            await house.http.get(f"/v1/passages/{known}", headers=headers)
            for known in (house.passages[0], uuid4(), "no-id", "x" * 5_000)
        ]
        fields = [
            await _unknown_field(house, name)
            for name in (hidden[0].metadata_field, "no_such_field")
        ]
        searched = await house.http.post(
            "/v1/search", json={"query": QUESTION}, headers={"X-Router-Principal": HR}
        )

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert fields[0].replace(hidden[0].metadata_field, "no_such_field") == fields[1]
    # The raw BM25 score counts passages that nobody here may see.
    assert "lexical" not in searched.text
    assert searched.json()["passages"]


async def test_a_right_that_is_taken_away_is_gone_with_the_next_request(
    database_url: str, tmp_path: Path
) -> None:
    async with open_house(tmp_path, database_url) as house:
        canary = next(one for one in house.canaries if one.readers == "group:hr")
        before = await _everything(house, HR)
        await ingest_bytes(
            canary.source,
            canary.markdown(),
            store=house.quoting.documents,
            embedder=house.quoting.embedder,
            acl=parse_principals("user:ana"),
        )
        after = await _everything(house, HR)
        newly = await _everything(house, "user:ana")

        await publish(house.quoting, canary)
        again = await _everything(house, HR)

    assert canary.word in before
    assert canary.word not in after
    assert canary.word in newly
    assert canary.word in again


async def test_a_deleted_document_is_gone_with_the_next_request(
    database_url: str, tmp_path: Path
) -> None:
    async with open_house(tmp_path, database_url) as house:
        canary = next(one for one in house.canaries if one.readers == "group:hr")
        before = await _everything(house, HR)
        await house.quoting.documents.delete(canary.source)
        after = await _everything(house, HR)

    assert canary.word in before
    assert canary.word not in after


def _as(principal: str) -> Asker:
    return Asker(principal, principal)


async def _everything(house: House, principal: str) -> str:
    """What somebody sees at every door, asking the same question as before."""
    cells = await measured(house, [_as(principal)])
    return " ".join(word for cell in cells for word in cell.seen)


async def _unknown_field(house: House, name: str) -> str:
    with pytest.raises(InvalidRequest) as raised:
        await house.quoting.search(QUESTION, principal="user:bob", where={name: "1"})
    answer = await house.http.post(
        "/v1/search",
        json={"query": QUESTION, "where": {name: "1"}},
        headers={"X-Router-Principal": "user:bob"},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "where")
    return raised.value.public + json.dumps(error)


async def test_a_passage_that_is_hidden_raises_what_an_unknown_one_raises(
    database_url: str, tmp_path: Path
) -> None:
    async with open_house(tmp_path, database_url) as house:
        said = []
        for known in (house.passages[0], str(uuid4())):
            with pytest.raises(UnknownPassage) as raised:
                await house.quoting.passage(known, principal="user:bob")
            said.append(repr(raised.value))

    assert len(set(said)) == 1
