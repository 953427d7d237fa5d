"""What every retriever does, in memory and on PostgreSQL."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from backends.base import NewPassage, SearchQuery
from backends.errors import Misconfigured
from backends.principals import NOBODY, Principal, asker
from backends.spans import PassageSentences
from tests.support.stores import (
    OpenStore,
    Store,
    embedded,
    new_document,
    publish,
    search,
    sources,
)


async def test_a_document_for_everyone_is_found_by_anyone(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave lasts long.", acl="everyone"))
        assert await sources(store, "parental leave", who="user:zoe") == ["a.md"]


async def test_a_document_of_a_group_is_found_by_its_members(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl="group:hr,user:bob"))
        assert await sources(store, "parental leave", who="user:ana,group:hr") == ["a.md"]


async def test_a_document_of_a_group_is_hidden_from_others(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl="group:hr"))
        assert await sources(store, "parental leave", who="user:ana,group:it") == []


async def test_a_user_is_not_the_group_of_the_same_name(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl="group:hr"))
        assert await sources(store, "parental leave", who="user:hr") == []


async def test_a_document_without_principals_is_found_by_nobody(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl=""))
        assert await sources(store, "parental leave", who="user:ana,group:hr") == []


async def test_an_asker_without_principals_finds_nothing(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl="everyone"))
        query = SearchQuery("parental leave", embedded(["parental leave"])[0], NOBODY)
        assert list(await store.search(query)) == []


async def test_a_principal_that_no_row_can_hold_matches_nothing(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl="user:ana"))
        odd = frozenset({Principal("user:ana\x00"), Principal("user:\ud800")})
        query = SearchQuery("parental leave", embedded(["parental leave"])[0], odd)
        assert list(await store.search(query)) == []


async def test_a_revoked_right_hides_the_document(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Parental leave.", acl="user:ana,user:bob"))
        await publish(store, new_document("a.md", "Parental leave.", acl="user:bob"))
        assert await sources(store, "parental leave", who="user:ana") == []


async def test_invisible_passages_do_not_crowd_out_visible_ones(open_store: OpenStore) -> None:
    async with open_store() as store:
        for number in range(60):
            document = new_document(f"secret{number}.md", "Parental leave.", acl="group:hr")
            await publish(store, document)
        await publish(store, new_document("mine.md", "Something about leave.", acl="user:ana"))
        assert await sources(store, "parental leave") == ["mine.md"]


async def test_old_text_is_never_found_after_a_new_version(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "The code is zebra."))
        await publish(store, new_document("a.md", "The code is giraffe."))
        found = await search(store, "zebra")
        assert [one.passage.text for one in found] == ["The code is giraffe."]
        assert found[0].lexical == 0


async def test_a_found_passage_carries_the_version_it_is_from(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra."))
        await publish(store, new_document("a.md", "Zebra two."))
        assert [one.passage.version for one in await search(store, "zebra")] == [2]


async def test_a_passage_names_the_document_that_replaces_its_own(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("old.md", "Returns take 28 days."))
        newer = {"supersedes": "old.md", "effective": "2025-02-01"}
        await publish(store, new_document("new.md", "Returns take 45 days.", metadata=newer))

        found = await search(store, "returns")

        replaced = {one.passage.source: one.superseded_by for one in found}
        assert replaced == {"old.md": "new.md", "new.md": ""}


async def test_a_replacement_that_the_asker_may_not_see_replaces_nothing(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        await publish(store, new_document("old.md", "Returns take 28 days."))
        newer = {"supersedes": "old.md"}
        await publish(store, new_document("new.md", "Secret.", acl="group:hr", metadata=newer))

        [found] = await search(store, "returns")

        assert found.superseded_by == ""


async def test_a_replacement_that_is_not_yet_in_effect_replaces_nothing(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        await publish(store, new_document("old.md", "Returns take 28 days."))
        newer = {"supersedes": "old.md", "effective": "2999-01-01"}
        await publish(store, new_document("new.md", "Returns take 45 days.", metadata=newer))

        found = await search(store, "returns")

        assert {one.superseded_by for one in found} == {""}


async def test_a_deleted_document_is_not_found(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra."))
        await store.delete("a.md")
        assert await sources(store, "zebra") == []


async def test_an_empty_store_finds_nothing(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await sources(store, "zebra") == []


@pytest.mark.parametrize("limit", [0, 1, 3, 70])
async def test_at_most_as_many_are_found_as_asked_for(open_store: OpenStore, limit: int) -> None:
    async with open_store() as store:
        await _publish_many(store, 75)
        assert len(await search(store, "zebra", limit=limit)) == limit


async def test_the_best_come_first(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("none.md", "Nothing to see here at all."))
        await publish(store, new_document("some.md", "The zebra at the office eats lunch."))
        await publish(store, new_document("best.md", "Striped zebra."))
        found = await search(store, "striped zebra")
        assert [one.passage.source for one in found] == ["best.md", "some.md", "none.md"]
        assert all(one.score >= other.score for one, other in pairwise(found))


async def test_scores_lie_between_zero_and_one(open_store: OpenStore) -> None:
    async with open_store() as store:
        await _publish_many(store, 75)
        found = await search(store, "zebra 3 office", limit=70)
        assert all(0 <= one.score <= 1 for one in found)
        assert found[0].score > 0.5


async def test_a_rare_code_is_found_by_its_letters_alone(open_store: OpenStore) -> None:
    async with open_store() as store:
        await _publish_many(store, 75)
        await publish(store, new_document("code.md", "Error TT-4471 means a paper jam."))
        # The embedding knows nothing of codes: it points at one of the others.
        found = await search(store, "what is TT-4471?", like="zebra office number 07", limit=2)
        assert "code.md" in [one.passage.source for one in found if one.lexical > 0]


async def test_a_paraphrase_is_found_without_a_common_word(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("leave.md", "parental leave"))
        await publish(store, new_document("lunch.md", "cheap lunch"))
        found = await search(store, "newborn", like="parental leave")
        assert found[0].passage.source == "leave.md"
        assert found[0].lexical == 0
        assert found[0].similarity == pytest.approx(1, abs=1e-3)


async def test_a_passage_of_one_leg_has_its_true_score_on_the_other(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        for number in range(1, 61):
            await publish(store, new_document(f"{number}.md", "alpha beta" + " delta" * number))
        await publish(store, new_document("far.md", "gamma"))
        found = await search(store, "gamma", like="alpha beta")
        expected = float(embedded(["alpha beta"])[0] @ embedded(["gamma"])[0])
        similarities = {one.passage.source: one.similarity for one in found}
        assert similarities["far.md"] == pytest.approx(expected, abs=1e-3)


async def test_words_are_matched_in_any_form(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Reimbursements are paid monthly."))
        assert (await search(store, "REIMBURSED"))[0].lexical > 0


async def test_the_title_counts_for_every_passage(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "It takes ten days.", title="Sabbatical"))
        assert (await search(store, "sabbatical"))[0].lexical > 0


async def test_the_heading_counts_for_its_passage_only(open_store: OpenStore) -> None:
    async with open_store() as store:
        passages = [
            NewPassage(0, 4, "Ten ", heading="Sabbatical"),
            NewPassage(4, 8, "days", heading="Overtime"),
        ]
        await publish(store, new_document("a.md", "Ten days"), passages)
        found = await search(store, "sabbatical")
        assert {one.passage.heading: one.lexical > 0 for one in found} == {
            "Sabbatical": True,
            "Overtime": False,
        }


async def test_a_rarer_word_is_worth_more(open_store: OpenStore) -> None:
    async with open_store() as store:
        for number in range(9):
            await publish(store, new_document(f"{number}.md", "office"))
        await publish(store, new_document("rare.md", "zebra"))
        found = await search(store, "office zebra", like="lunch", limit=10)
        worth = {one.passage.source: one.lexical for one in found}
        assert worth["rare.md"] > worth["0.md"] > 0


async def test_bm25_is_the_textbooks(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "zebra zebra office", title=""))
        await publish(store, new_document("b.md", "lunch", title=""))
        found = {one.passage.source: one.lexical for one in await search(store, "zebra")}
        idf = np.log(1 + (2 - 1 + 0.5) / (1 + 0.5))
        weight = 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 120))
        assert found["a.md"] == pytest.approx(idf * weight, rel=1e-4)


async def test_the_place_of_a_passage_is_the_text_there(open_store: OpenStore) -> None:
    body = "Erste Zeile. 🧳 旅費は月末に支払われます。 Zebra stripes are many.\n"
    async with open_store() as store:
        cut = body.index("Zebra")
        passages = [
            NewPassage(0, cut, body[:cut]),
            NewPassage(cut, len(body), body[cut:], heading="H", page=3),
        ]
        await publish(store, new_document("a.md", body, title="T"), passages)
        for one in await search(store, "zebra stripes"):
            assert body[one.passage.start : one.passage.end] == one.passage.text


async def test_a_found_passage_carries_all_that_a_citation_needs(open_store: OpenStore) -> None:
    async with open_store() as store:
        passages = [NewPassage(0, 6, "Zebra.", heading="Stripes", page=3)]
        info = await publish(store, new_document("a.md", "Zebra.", title="Animals"), passages)
        (found,) = await search(store, "zebra")
        passage = found.passage
        assert (passage.document_id, passage.title, passage.source) == (info.id, "Animals", "a.md")
        assert (passage.ordinal, passage.heading, passage.page) == (0, "Stripes", 3)


async def test_a_question_of_stop_words_still_finds_by_meaning(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "What is it that we do?"))
        (found,) = await search(store, "what is it that we do?")
        assert found.lexical == 0
        assert found.similarity > 0.9


@pytest.mark.parametrize("question", ["", "   ", "?!", "\x00", "\ud800", "🧳"])
async def test_a_question_without_words_is_no_error(open_store: OpenStore, question: str) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra."))
        assert len(await search(store, question)) == 1


async def test_a_nul_in_a_question_is_overlooked(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra."))
        assert (await search(store, "\x00zebra\x00"))[0].lexical > 0


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("出張の旅費は月末に支払われます。", "旅費"),
        ("年假政策适用于所有员工。", "年假政策"),
        ("연차휴가는 매년 부여된다.", "연차휴가"),
        ("Отпуск длится 28 дней.", "отпуск"),
        ("Der Übertrag verfällt im März.", "übertrag"),
        ("นโยบายการลาพักร้อน", "ลาพักร้อน"),
        ("ＦＵＬＬ width", "full"),
    ],
)
async def test_words_of_any_script_are_found(
    open_store: OpenStore, text: str, question: str
) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", text))
        assert (await search(store, question))[0].lexical > 0


async def test_a_very_long_question_works(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra."))
        question = "zebra " + " ".join(f"word{number}" for number in range(12_000))
        assert len(question) > 100_000
        assert (await search(store, question, like="zebra"))[0].lexical > 0


async def test_an_embedding_of_another_length_is_a_misconfiguration(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        query = SearchQuery("zebra", np.ones(383, np.float32), asker("user:ana"))
        with pytest.raises(Misconfigured, match="383"):
            await store.search(query)


async def _publish_many(store: Store, count: int) -> None:
    body = "".join(f"zebra office number {number:02}\n" for number in range(count))
    width = len(body) // count
    passages = [
        NewPassage(first, first + width, body[first : first + width])
        for first in range(0, len(body), width)
    ]
    await publish(store, new_document("many.md", body), passages)


async def test_a_found_passage_brings_its_sentences_along(open_store: OpenStore) -> None:
    text = "Boots go back. Coats stay."
    vectors = embedded(["Untitled", "Boots go back.", "Coats stay."])
    sentences = PassageSentences("words", ((0, 14), (15, 26)), vectors)
    async with open_store() as store:
        passage = NewPassage(0, len(text), text, sentences=sentences)
        await publish(store, new_document("a.md", text), [passage])
        await publish(store, new_document("b.md", "Boots."))
        kept, none = await search(store, "boots coats")
        assert none.sentences is None
        assert kept.sentences is not None
        assert kept.sentences.model == "words"
        assert kept.sentences.spans == sentences.spans
        # A store may keep them roughly.
        assert (kept.sentences.vectors * vectors).sum(axis=1) == pytest.approx(1, abs=1e-3)
