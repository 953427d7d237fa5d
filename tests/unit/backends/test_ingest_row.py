"""A row of a query as a document: what it says, and who may read it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from backends.errors import UnreadableDocument
from backends.ingest.row import Row, missing_columns, read_row

ORDER: dict[str, object] = {
    "id": 4711, "owner": "ana", "status": "shipped", "expected_delivery": date(2026, 11, 24),
    "returned_at": None,
}  # fmt: skip


def test_a_row_without_a_body_reads_as_a_sentence() -> None:
    row = read_row("orders", 1, ORDER)
    assert row.body == "Order 4711: status shipped; expected delivery 2026-11-24."
    assert (row.title, row.acl) == ("Order 4711", ("user:ana",))
    assert row.metadata == {"status": "shipped", "expected_delivery": "2026-11-24"}


def test_a_title_stands_before_the_id() -> None:
    row = read_row("products", 1, {"id": 7, "acl": "everyone", "title": "Trail boots", "price": 9})
    assert row.body == "Trail boots, Product 7: price 9."


def test_long_texts_come_after_the_sentence() -> None:
    note = "Please ring twice. The dog is friendly."
    row = read_row("orders", 1, {"id": 1, "acl": None, "note": note, "paid": True})
    assert row.body == f"Order 1: paid yes.\n\nNote: {note}"


@pytest.mark.parametrize("column", ["body", "text"])
def test_a_body_is_taken_as_it_is(column: str) -> None:
    row = read_row("notes", 1, {"id": 1, "acl": [], column: "One.\r\nTwo.", "country": "DE"})
    assert (row.body, row.metadata, row.acl) == ("One.\nTwo.", {"country": "DE"}, ())


@pytest.mark.parametrize(
    ("value", "shown", "stored"),
    [
        (Decimal("129.00"), "129.00", "129.00"),
        (True, "yes", "true"),
        (
            datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
            "2026-11-24 09:30+00:00",
            "2026-11-24T09:30:00+00:00",
        ),
        (["red", "blue"], "red, blue", "red, blue"),
        ({"size": 42}, '{"size": 42}', '{"size": 42}'),
        (b"\x00\x01", "", ""),
    ],
)
def test_values_are_shown_as_people_write_them(value: object, shown: str, stored: str) -> None:
    row = read_row("things", 1, {"id": 1, "acl": None, "value": value})
    assert row.body == (f"Thing 1: value {shown}." if shown else "Thing 1.")
    assert row.metadata == {"value": stored}


@pytest.mark.parametrize(
    ("rights", "readers"),
    [
        ({"acl": "user:ana, group:shop"}, ("group:shop", "user:ana")),
        ({"acl": ["user:ana", "everyone"]}, ("everyone", "user:ana")),
        ({"acl": None}, ()),
        ({"acl": ""}, ()),
        ({"owner": None}, ()),
        ({"owner": 17}, ("user:17",)),
    ],
)
def test_the_row_says_who_may_see_it(rights: dict[str, object], readers: tuple[str, ...]) -> None:
    assert read_row("orders", 1, {"id": 1} | rights).acl == readers


@pytest.mark.parametrize(
    "rights",
    [
        {"acl": "ana"},
        {"acl": ["user:ana", None]},
        {"acl": 17},
        {"owner": "ana, everyone"},
        {"owner": "user:ana"},
        {"owner": "a b"},
    ],
)
def test_a_row_whose_rights_cannot_be_trusted_is_refused_by_name(rights: dict[str, object]) -> None:
    with pytest.raises(UnreadableDocument, match=r"orders/4711: its (acl|owner) is invalid"):
        read_row("orders", 1, {"id": 4711} | rights)


@pytest.mark.parametrize(("key", "named"), [(None, "orders, row 3"), (" ", "row 3"), ("a\tb", "t")])
def test_a_row_that_has_no_name_is_refused_by_its_number(key: object, named: str) -> None:
    with pytest.raises(UnreadableDocument, match=named):
        read_row("orders", 3, {"id": key, "owner": "ana"})


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [
        (["acl"], "no column 'id'"),
        (["id", "status"], "no column 'acl' or 'owner'"),
        (["id", "acl", "owner"], "both"),
        (["id", "id", "acl"], "twice"),
        (["id", "acl"], ""),
    ],
)
def test_a_query_needs_an_id_and_one_column_for_rights(columns: list[str], wrong: str) -> None:
    assert wrong in missing_columns(columns)
    assert bool(missing_columns(columns)) == bool(wrong)


@pytest.mark.parametrize(
    ("name", "title"),
    [("deliveries", "Delivery 1"), ("shop/stock", "Stock 1"), ("boxes", "Box 1"), ("bus", "Bus 1")],
)
def test_rows_are_called_by_the_singular_of_their_name(name: str, title: str) -> None:
    assert read_row(name, 1, {"id": 1, "acl": None}).title == title


def test_a_row_put_aside_comes_back_as_it_was() -> None:
    row = read_row("orders", 1, ORDER | {"note": "line\nbreak \u2028 and “quotes”"})
    assert "\n" not in row.to_json()
    assert Row.from_json(row.to_json()) == row
    assert Row.from_json(row.to_json()).mark() == row.mark()
