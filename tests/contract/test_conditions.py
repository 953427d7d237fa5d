"""What conditions on the metadata do to a search, in memory and on PostgreSQL."""

from __future__ import annotations

import pytest

from backends.base import SearchQuery
from backends.errors import UnknownField
from backends.filters import Condition, parse_conditions
from backends.principals import asker
from tests.support.stores import OpenStore, Store, embedded, new_document, publish


async def test_a_condition_narrows_to_documents_that_satisfy_it(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("de.md", "Leave.", metadata={"country": "DE"}))
        await publish(store, new_document("fr.md", "Leave.", metadata={"country": "FR"}))
        await publish(store, new_document("any.md", "Leave."))
        assert await found(store, "country=DE") == {"de.md"}
        assert await found(store, "country!=DE") == {"fr.md"}
        assert await found(store, "country in DE,FR") == {"de.md", "fr.md"}
        assert await found(store, "country=ES") == set()
        assert await found(store) == {"de.md", "fr.md", "any.md"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("price<20", {"cheap.md"}),
        ("price>=19.9", {"cheap.md", "dear.md"}),
        ("price=19.900", {"cheap.md"}),
        ("price!=5", {"cheap.md", "dear.md"}),
        ('price="19.90"', {"cheap.md"}),
        ('price<"2"', {"cheap.md", "dear.md"}),
        ("price in 100,250", {"dear.md"}),
    ],
)
async def test_numbers_compare_as_numbers_and_texts_as_texts(
    open_store: OpenStore, condition: str, expected: set[str]
) -> None:
    async with open_store() as store:
        await publish(store, new_document("cheap.md", "Boots.", metadata={"price": "19.90"}))
        await publish(store, new_document("dear.md", "Boots.", metadata={"price": "100"}))
        await publish(store, new_document("odd.md", "Boots.", metadata={"price": "on request"}))
        assert await found(store, condition) == expected


async def test_all_conditions_must_hold(open_store: OpenStore) -> None:
    async with open_store() as store:
        both = {"country": "DE", "effective": "2024-02-01"}
        await publish(store, new_document("a.md", "Leave.", metadata=both))
        assert await found(store, "country=DE", "effective>=2024-01-01") == {"a.md"}
        assert await found(store, "country=DE", "effective<2024-01-01") == set()


async def test_no_condition_shows_what_the_asker_may_not_see(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("all.md", "Pay.", metadata={"band": "A"}))
        await publish(store, new_document("hr.md", "Pay.", acl="group:hr", metadata={"band": "C"}))
        for condition in ("band=C", "band!=A", "band in A,C", "band>=A", "band<=Z"):
            assert "hr.md" not in await found(store, condition)


async def test_an_unknown_field_is_named_beside_those_that_the_asker_may_see(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        await publish(store, new_document("all.md", "Pay.", metadata={"country": "DE"}))
        await publish(
            store, new_document("hr.md", "Pay.", acl="group:hr", metadata={"salary": "9"})
        )
        for unknown in ("contry=DE", "salary=9"):
            with pytest.raises(UnknownField) as caught:
                await found(store, unknown)
            assert caught.value.known == ("country",)
        assert await found(store, "salary=9", who="group:hr") == {"hr.md"}


async def test_a_condition_is_data_and_no_sql(open_store: OpenStore) -> None:
    async with open_store() as store:
        field = "x' = 'y') OR true --"
        await publish(store, new_document("a.md", "Pay.", metadata={field: "1"}))
        await publish(store, new_document("hr.md", "Pay.", acl="group:hr", metadata={field: "1"}))
        query = SearchQuery(
            "pay",
            embedded(["pay"])[0],
            asker("user:ana"),
            where=(Condition(field, "=", ("1') OR ('1'='1",)),),
        )
        assert list(await store.search(query)) == []


async def found(store: Store, *conditions: str, who: str = "user:ana") -> set[str]:
    """The sources that a search with conditions finds."""
    query = SearchQuery(
        "pay leave boots",
        embedded(["pay leave boots"])[0],
        asker(who),
        where=parse_conditions(conditions),
    )
    return {one.passage.source for one in await store.search(query)}
