"""Every format through readers, chunker and the tokenizer that embeds: nothing is lost or cut."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.base import DocumentInfo, NewDocument, NewPassage
from backends.ingest import ingest_bytes
from backends.memory.store import MemoryStore
from backends.minilm import MiniLmEmbedder
from backends.principals import EVERYONE
from tests.support.documents import pdf

if TYPE_CHECKING:
    from backends.base import Vectors

PROSE = "Unworn boots go back within a year of delivery. Worn ones are mended, e.g. at the heel. "
CHINESE = "未穿过的靴子可在交货后一年内退回。穿过的会修理。"
ARABIC = "يمكن إرجاع الأحذية غير المستعملة خلال عام من التسليم. تُصلَح المستعملة. "
HEBREW = "אפשר להחזיר מגפיים בתוך שנה מיום המסירה. "
TABLE = "| Item | Days |\n|---|---|\n" + "".join(f"| boot {n} | {n} |\n" for n in range(8))
CODE = "```python\n" + "".join(f"def boot_{n}():\n    return {n}\n\n" for n in range(6)) + "```\n"

MARKDOWN = f"# Returns\n\n{PROSE * 9}\n\n## Table\n\n{TABLE}\n## Code\n\n{CODE}\n{PROSE * 5}\n"
FORMATS: dict[str, bytes] = {
    "a.md": MARKDOWN.encode(),
    "crlf.md": MARKDOWN.replace("\n", "\r\n").encode("utf-16"),
    "latin.txt": (PROSE * 20 + "Größe, façade, señor.").encode("cp1252"),
    "chinese.md": (f"# 退货\n\n{CHINESE * 40}").encode(),
    "arabic.md": (f"# الإرجاع\n\n{ARABIC * 30}{HEBREW * 20}").encode(),
    "emoji.md": ("👩‍👩‍👧‍👦🥾" * 400).encode(),
    "word.txt": b"x" * 30_000,
    "a.html": f"<h1>Returns</h1><p>{PROSE * 20}<table><tr><td>{PROSE}</table>".encode(),
    "a.csv": ("item,days\n" + "".join(f"boot {n},{n}\n" for n in range(300))).encode(),
    "a.pdf": pdf(*[[f"Page {page} of it all."] + [PROSE] * 25 for page in range(1, 5)]),
}


class Kept(MemoryStore):
    """Remembers what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.passages: Sequence[NewPassage] = ()

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        self.passages = passages
        return await super().publish(document, passages, embeddings)


class Counting:
    """The real tokenizer, and beside it the longest text that was to be embedded."""

    def __init__(self, inner: MiniLmEmbedder) -> None:
        self._inner = inner
        self.model, self.dimension, self.max_tokens = inner.model, inner.dimension, inner.max_tokens
        self.longest = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        self.longest = max(self.longest, *map(self.count_tokens, texts))
        return np.ones((len(texts), self.dimension), np.float32)

    def count_tokens(self, text: str) -> int:
        return self._inner.count_tokens(text)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@asynccontextmanager
async def taken_in(
    models: Path, source: str
) -> AsyncIterator[tuple[str, Sequence[NewPassage], Counting]]:
    async with MiniLmEmbedder.open(models) as embedder:
        store, counting = Kept(), Counting(embedder)
        await ingest_bytes(
            source, FORMATS[source], store=store, embedder=counting, acl=frozenset({EVERYONE})
        )
        found = await store.document(source)
        assert found is not None
        yield found[1], store.passages, counting


@pytest.mark.parametrize("source", FORMATS)
async def test_nothing_is_lost_and_nothing_is_cut_by_the_embedder(
    models: Path, source: str
) -> None:
    async with taken_in(models, source) as (body, passages, counting):
        assert 0 < counting.longest <= counting.max_tokens
        position, joined = 0, ""
        for passage in passages:
            assert body[passage.start : passage.end] == passage.text
            gap = body[position : passage.start]
            assert not gap.strip()
            joined += gap + passage.text
            position = passage.end
        assert joined + body[position:] == body
        assert not body[position:].strip()
        assert len(passages) > 1


async def test_pages_of_a_pdf_are_those_that_the_passages_stand_on(models: Path) -> None:
    async with taken_in(models, "a.pdf") as (body, passages, _):
        begins = {int(one[1]): one.start() for one in re.finditer(r"Page (\d) of it all", body)}
        assert sorted(begins) == [1, 2, 3, 4]
        for passage in passages:
            expected = max(page for page, start in begins.items() if start <= passage.start)
            assert passage.page == expected
        assert {passage.page for passage in passages} == {1, 2, 3, 4}


async def test_tables_and_code_stay_whole_below_their_headings(models: Path) -> None:
    async with taken_in(models, "a.md") as (_, passages, _):
        [table] = [one for one in passages if "| boot 0 |" in one.text]
        [code] = [one for one in passages if "def boot_0" in one.text]
        assert (TABLE.strip() in table.text, table.heading) == (True, "Returns > Table")
        assert (CODE.strip() in code.text, code.heading) == (True, "Returns > Code")


@pytest.mark.parametrize("source", ["chinese.md", "arabic.md"])
async def test_sentences_of_other_scripts_are_not_cut(models: Path, source: str) -> None:
    async with taken_in(models, source) as (_, passages, _):
        assert all(passage.text.endswith(("。", ".")) for passage in passages)
