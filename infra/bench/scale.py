"""How fast and how exact is retrieval among a hundred thousand passages?

    uv run python infra/bench/scale.py [--passages 100000] [--json]

Makes that many distinct passages by putting two sentences of one text together, seeded; publishes
them so that one principal sees 1 % of them, one 10 % and one all; and asks some 270 real questions
on behalf of each. Prints the median and the 99th percentile of embedding and search together, the
share of the exact top ten that the fused top ten holds, and the plans of both legs.

The texts come from a folder beside the repository (--texts). Vectors and the loaded database stay
in --cache, so that only the first run takes long. Every sentence stands in several passages, and
many passages are nearly alike: neighbours are harder to tell apart than in a grown handbook.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.base import Embedder, NewDocument, NewPassage, Vector, Vectors
    from backends.pgvector import PgvectorStore
    from backends.principals import Principals
    from router import Settings

ROOT = Path(__file__).parents[2]
TEXTS = (
    "handbook/corpus.jsonl",
    "retrieval/squad2/corpus.jsonl",
    "retrieval/dstc11_multiturn/corpus_passages.jsonl",
)
QUESTIONS = ("retrieval/squad2/queries.jsonl", "handbook/heading_questions.jsonl")

SEED = 20_260_101
PASSAGES_A_DOCUMENT = 10
QUESTIONS_A_FILE = 150
CHUNK = 2_000
"""Passages whose vectors share a file of the cache."""

SEES = {"group:hundredth": 100, "group:tenth": 10, "group:all": 1}
"""Each principal sees every so many documents."""


@dataclass(frozen=True, slots=True)
class Made:
    """A passage made of two sentences of the texts with this title."""

    title: str
    text: str


def make_passages(texts: Path, count: int) -> list[Made]:
    """Return ``count`` distinct passages, in the order of their titles.

    Raises:
        SystemExit: The texts do not hold enough sentences.
    """
    by_title = _sentences(texts)
    every = [(title, sentence) for title, own in by_title.items() for sentence in own]
    chosen = random.Random(SEED)  # noqa: S311 - a seeded sample, not a secret
    made: dict[str, Made] = {}
    for _ in range(20 * count):
        title, first = chosen.choice(every)
        second = chosen.choice(by_title[title])
        if first != second:
            text = f"{first} {second}"
            made.setdefault(text, Made(title, text))
        if len(made) == count:
            return sorted(made.values(), key=lambda one: one.title)
    sys.exit(f"The texts make {len(made)} distinct passages, not {count}.")


def _sentences(texts: Path) -> Mapping[str, Sequence[str]]:
    from backends.sentences import split_sentences, without_marks

    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in (row for name in TEXTS for row in rows(texts / name)):
        text = row["text"]
        for sentence in split_sentences(text):
            start, end = without_marks(text, sentence.start, sentence.end)
            if sentence.kind in ("prose", "item") and 25 <= end - start <= 240:
                found[row["title"]][" ".join(text[start:end].split())] = None
    return {title: list(own) for title, own in found.items() if len(own) > 1}


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file with one a line.

    Raises:
        SystemExit: There is no such file.
    """
    if not path.is_file():
        sys.exit(f"{path} is not there; name the folder that holds it with --texts.")
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


async def vectors_of(made: Sequence[Made], embedder: Embedder, cache: Path) -> Vectors:
    """Return one vector a passage, shape (n, d); what was embedded before comes from the cache."""
    import numpy as np

    from backends.ingest.budget import embedding_text

    chunks = []
    for first in range(0, len(made), CHUNK):
        texts = [embedding_text(one.title, one.text) for one in made[first : first + CHUNK]]
        digest = hashlib.sha256("\0".join([embedder.model, *texts]).encode()).hexdigest()
        file = cache / "vectors" / f"{digest}.npy"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            half_done = file.with_suffix(".part")
            with half_done.open("wb") as opened:
                np.save(opened, await embedder.embed(texts))
            half_done.replace(file)
            sys.stderr.write(f"embedded {first + len(texts)} of {len(made)}\n")
        chunks.append(np.load(file))
    return np.concatenate(chunks)


@dataclass(frozen=True, slots=True)
class Ready:
    """A document and what is published with it."""

    document: NewDocument
    passages: Sequence[NewPassage]
    vectors: Vectors


def documents(made: Sequence[Made], vectors: Vectors) -> Iterator[Ready]:
    """Yield documents of some ten passages, each of one title, with their access lists."""
    from backends.base import NewDocument, NewPassage

    firsts = _firsts(made)
    places = list(range(len(firsts)))
    random.Random(SEED).shuffle(places)  # noqa: S311 - whom a document is for hangs on nothing else
    ends = [*firsts[1:], len(made)]
    for place, first, end in zip(places, firsts, ends, strict=True):
        body, passages = "", []
        for one in made[first:end]:
            passages.append(NewPassage(len(body), len(body) + len(one.text), one.text))
            body += one.text + "\n\n"
        acl = _readers(place)
        document = NewDocument(
            source=f"made/{first:07}.txt",
            title=made[first].title,
            body=body,
            media_type="text/plain",
            fingerprint=hashlib.sha256(repr((body, sorted(acl))).encode()).hexdigest(),
            acl=acl,
        )
        yield Ready(document, passages, vectors[first:end])


def _firsts(made: Sequence[Made]) -> list[int]:
    """Where documents begin."""
    firsts = [0]
    for number, one in enumerate(made):
        full = number - firsts[-1] == PASSAGES_A_DOCUMENT
        if full or one.title != made[firsts[-1]].title:
            firsts.append(number)
    return firsts


def _readers(place: int) -> Principals:
    from backends.principals import parse_principals

    return parse_principals([who for who, every in SEES.items() if place % every == 0])


async def load(store: PgvectorStore, ready: Sequence[Ready]) -> float:
    """Publish what is not stored yet, and index it; return the seconds that took."""
    began = perf_counter()
    known = await store.fingerprints([one.document.source for one in ready])
    for number, one in enumerate(ready):
        if known.get(one.document.source) != one.document.fingerprint:
            await store.publish(one.document, one.passages, one.vectors)
            if number % 1000 == 999:
                sys.stderr.write(f"published {number + 1} of {len(ready)} documents\n")
    await store.settle()
    return perf_counter() - began


async def asked(
    store: PgvectorStore, embedder: Embedder, questions: Sequence[str], who: str
) -> dict[str, Any]:
    """Ask every question on behalf of one principal, one after the other."""
    import numpy as np

    from backends.base import SearchQuery
    from backends.principals import asker

    def query(text: str, embedding: Vector) -> SearchQuery:
        return SearchQuery(text, embedding, asker(who), limit=10)

    for text in questions[:20]:
        await store.search(query(text, (await embedder.embed([text]))[0]))
    taken, searched, asked_for, shares, empty = [], [], [], [], 0
    for text in questions:
        began = perf_counter()
        embedding = (await embedder.embed([text]))[0]
        embedded = perf_counter()
        found = await store.search(query(text, embedding))
        taken.append((perf_counter() - began) * 1000)
        searched.append((perf_counter() - embedded) * 1000)
        asked_for.append((query(text, embedding), found))
    # Only now, as looking at all passages empties the caches that the next question finds warm.
    for wanted, found in asked_for:
        right = await store.search(wanted, exact=True)
        empty += not right
        if right:
            same = {hit.passage.id for hit in found} & {hit.passage.id for hit in right}
            shares.append(len(same) / len(right))
    first = questions[0]
    plan = await store.explain(query(first, (await embedder.embed([first]))[0]))
    return {
        "principal": who,
        "n": len(questions),
        "latency_ms": _times(taken),
        "search_ms": _times(searched),
        "recall_at_10": float(np.mean(shares)),
        "worst_recall_at_10": min(shares),
        "nothing_to_find": empty,
        "plan": plan,
    }


def _times(taken: Sequence[float]) -> dict[str, float]:
    import numpy as np

    return {"p50": float(np.percentile(taken, 50)), "p99": float(np.percentile(taken, 99))}


async def measured(texts: Path, count: int, cache: Path) -> dict[str, Any]:
    """Make, embed, load and ask; returns every figure."""
    from backends.postgres import embedded_server
    from router import Settings
    from router.adapters import open_embedder, open_store
    from router.evaluation.scratch import gather_statistics

    made = make_passages(texts, count)
    chosen = random.Random(SEED)  # noqa: S311 - a seeded sample
    questions = []
    for name in QUESTIONS:
        own = [row["text"] for row in rows(texts / name)]
        questions += chosen.sample(own, min(QUESTIONS_A_FILE, len(own)))
    chosen.shuffle(questions)
    home = cache / "home"
    async with open_embedder(Settings(home=home)) as embedder:
        began = perf_counter()
        vectors = await vectors_of(made, embedder, cache)
        embedding_s = perf_counter() - began
        ready = list(documents(made, vectors))
        async with embedded_server(home / "postgres") as url:
            settings = _settings(home, url, schema=f"scale_{count}")
            async with open_store(settings, embedder) as store:
                loading_s = await load(store, ready)
                await gather_statistics(settings)
                principals = [await asked(store, embedder, questions, who) for who in SEES]
    return {
        "passages": len(made),
        "documents": len(ready),
        "embedding_s": embedding_s,
        "loading_s": loading_s,
        "principals": principals,
    }


def _settings(home: Path, url: str, schema: str) -> Settings:
    from pydantic import SecretStr

    from router import Settings

    return Settings(home=home, database_url=SecretStr(url), database_schema=schema)


def main() -> None:
    """Run it and print the report."""
    from platformdirs import user_cache_path

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--texts", type=Path, default=ROOT.parent / "shared" / "data")
    default = user_cache_path("agentic-query-router") / "bench-scale"
    parser.add_argument("--cache", type=Path, default=default)
    arguments = parser.parse_args()
    figures = asyncio.run(measured(arguments.texts, arguments.passages, arguments.cache))
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for line in shown(figures):
        sys.stdout.write(line + "\n")


def shown(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report line by line."""
    yield (
        f"{figures['passages']} passages in {figures['documents']} documents; "
        f"embedding took {figures['embedding_s']:.0f} s, loading {figures['loading_s']:.0f} s "
        "(next to nothing where the cache had them)"
    )
    for one in figures["principals"]:
        whole, search = one["latency_ms"], one["search_ms"]
        yield (
            f"{one['principal']:16} n {one['n']}  embedding and search p50 {whole['p50']:6.1f} ms"
            f"  p99 {whole['p99']:6.1f} ms  (search p50 {search['p50']:6.1f} ms"
            f"  p99 {search['p99']:6.1f} ms)  recall@10 {one['recall_at_10']:.3f}"
        )
    for one in figures["principals"]:
        plan = re.sub(r"\[[-+.,e\d]{80,}\]", "[…]", one["plan"])
        yield f"\nPlan for {one['principal']}:\n{plan}"


if __name__ == "__main__":
    main()
