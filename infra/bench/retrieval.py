"""Is retrieval better or faster than langchain-postgres' hybrid search, on the same passages?

    uv run python infra/bench/retrieval.py [DIR] [--queries FILE] [--limit N] [--json]

DIR is a folder as `router eval retrieval` takes it. Our side ingests it into a scratch schema of
the embedded PostgreSQL; their side gets the same passages, titles and headings in front as our
embedder reads them, and the same vectors, in the same server. Both are asked the same questions one
after the other, each for 50 passages from legs 50 deep; milliseconds are the search alone, as the
embedding is given to both.

Theirs is as its documentation sets it up: a tsvector column with a GIN index, weighted-sum fusion,
no index on the vectors, which neither side has at this size. Theirs checks no access rights and
ours does. It pins pgvector below 0.4, so uv runs it in an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.base import Vector
    from router import Settings
    from router.app import Retrieval
    from router.evaluation.benchmark import Benchmark, Query

HERE = Path(__file__).parent
DEFAULT = HERE.parents[2] / "shared" / "data" / "retrieval" / "squad2"
THEIRS = HERE / "langchain_hybrid.py"
PACKAGES = ("langchain-postgres>=0.0.17", "psycopg[binary]", "numpy")
DEPTH = 50
LIMIT_S = 3600

LIVE_SPACE = "SELECT 'embedding_' || id FROM embedding_space WHERE state = 'live'"
PASSAGES = """
SELECT document.source, document.title, passage.heading, passage.text,
    space.embedding::real[]::float8[]
FROM passage
JOIN {} AS space ON space.passage_id = passage.id
JOIN document ON document.id = passage.document_id AND document.live_version = passage.version
ORDER BY document.source, passage.ordinal
"""


async def compared(benchmark: Benchmark, home: Path) -> dict[str, Any]:
    """Ask both sides; returns the figures of each."""
    from router import Settings
    from router.app import open_retrieval
    from router.evaluation.retrieval import ingest_corpus
    from router.evaluation.scratch import gather_statistics, scratch_schema

    async with (
        scratch_schema(Settings(home=home)) as ours,
        open_retrieval(ours) as retrieval,
        scratch_schema(ours) as theirs,
    ):
        await ingest_corpus(benchmark.corpus, retrieval)
        await gather_statistics(ours)
        questions = await _questions(benchmark.queries, retrieval)
        with tempfile.TemporaryDirectory() as folder:
            count = await _hand_over(Path(folder), ours, theirs.database_schema, questions)
            their_answers = await asyncio.to_thread(_asked_there, Path(folder))
        our_answers = await _asked_here(questions, retrieval)
    return {
        "benchmark": benchmark.name,
        "n": len(benchmark.queries),
        "passages": count,
        "router": figures(benchmark.queries, our_answers),
        "langchain-postgres": figures(benchmark.queries, their_answers),
    }


Answer = tuple[Sequence[str], float]
"""Documents, best first, and milliseconds."""


async def _questions(
    queries: Sequence[Query], retrieval: Retrieval
) -> Sequence[tuple[str, Vector]]:
    from router.evaluation.retrieval import searched_task, searched_words

    texts = [searched_words(searched_task(query.conversation)) for query in queries]
    return [(text, (await retrieval.asking.embed([text]))[0]) for text in texts]


async def _hand_over(
    folder: Path, ours: Settings, schema: str, questions: Sequence[tuple[str, Vector]]
) -> int:
    """Write what the other side works with; returns the number of passages."""
    import numpy as np
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict

    from backends.ingest.budget import embedding_text
    from router.evaluation.retrieval import document_id

    assert ours.database_url is not None, "a scratch schema knows its database"
    url = ours.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as session:
        path = sql.Identifier(ours.database_schema)
        await session.execute(sql.SQL("SET search_path TO {}, public").format(path))
        live = await (await session.execute(LIVE_SPACE)).fetchone()
        assert live is not None, "what was ingested has an embedding space"
        statement = sql.SQL(PASSAGES).format(sql.Identifier(live[0]))
        found = await (await session.execute(statement)).fetchall()
        await session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    passages = [
        {
            "document": document_id(source),
            "text": embedding_text("\n".join(line for line in (title, heading) if line), text),
        }
        for source, title, heading, text, _ in found
    ]
    _write(folder / "passages.jsonl", passages)
    np.save(folder / "passages.npy", np.array([row[-1] for row in found], np.float32))
    _write(folder / "questions.jsonl", [text for text, _ in questions])
    np.save(folder / "questions.npy", np.stack([embedding for _, embedding in questions]))
    parts = conninfo_to_dict(url)
    where = {
        "username": parts.get("user"),
        "password": parts.get("password"),
        "database": parts.get("dbname"),
        "query": {name: str(parts[name]) for name in ("host", "port") if parts.get(name)},
    }
    settled = {"url": where, "schema": schema, "depth": DEPTH}
    (folder / "database.json").write_text(json.dumps(settled), encoding="utf-8")
    return len(passages)


def _write(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _asked_there(folder: Path) -> Sequence[Answer]:
    """Run the other side.

    Raises:
        SystemExit: The package cannot be installed, or it failed.
    """
    packages = [part for package in PACKAGES for part in ("--with", package)]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    alone = ["uv", "run", "--isolated", "--no-project", "--python", version, *packages]
    # The parent's environment must not leak into theirs.
    surroundings = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    try:
        subprocess.run(  # noqa: S603 - our own words and a folder that we made
            [*alone, "python", "-c", "import langchain_postgres"],
            check=True,
            env=surroundings,
            timeout=LIMIT_S,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"langchain-postgres cannot be installed here, so there is no peer: {error}")
    done = subprocess.run(  # noqa: S603 - as above
        [*alone, "python", str(THEIRS), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=surroundings,
        timeout=LIMIT_S,
    )
    if done.returncode:
        sys.exit(f"langchain-postgres failed with exit code {done.returncode}; see above.")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [(list(dict.fromkeys(one["ranked"])), one["ms"]) for one in answers]


async def _asked_here(
    questions: Sequence[tuple[str, Vector]], retrieval: Retrieval
) -> Sequence[Answer]:
    from backends.base import SearchQuery
    from backends.principals import EVERYONE
    from router.evaluation.retrieval import ranked_documents

    answers: list[Answer] = []
    for number, (text, embedding) in enumerate([*questions[:10], *questions]):
        began = perf_counter()
        found = await retrieval.store.search(
            SearchQuery(text, embedding, frozenset({EVERYONE}), limit=DEPTH, candidates=DEPTH)
        )
        ms = (perf_counter() - began) * 1000
        if number >= len(questions[:10]):
            answers.append((ranked_documents(found), ms))
    return answers


def figures(queries: Sequence[Query], answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the quality of the rankings and the times of one side, with intervals."""
    import numpy as np

    from router.evaluation.report import RANKING, figure, percentiles

    quality: dict[str, Any] = {}
    for name, metric in RANKING.items():
        pairs = zip(queries, answers, strict=True)
        values = [metric(ranked, query.relevant) for query, (ranked, _) in pairs]
        quality |= figure(name, np.mean, np.array(values))
    return {**quality, "search_ms": percentiles(np.array([ms for _, ms in answers]))}


def main() -> None:
    """Run it and print the report."""
    from platformdirs import user_cache_path

    from router.evaluation.benchmark import read_benchmark, sampled
    from router.evaluation.lines import BadBenchmark

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", action="store_true")
    default = user_cache_path("agentic-query-router") / "bench-retrieval"
    parser.add_argument("--cache", type=Path, default=default)
    arguments = parser.parse_args()
    try:
        benchmark = read_benchmark(arguments.folder, queries=arguments.queries)
    except BadBenchmark as error:
        sys.exit(str(error))
    if arguments.limit:
        benchmark = sampled(benchmark, arguments.limit)
    found = asyncio.run(compared(benchmark, arguments.cache))
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for line in shown(found):
        sys.stdout.write(line + "\n")


def shown(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report line by line."""
    from router.evaluation.report import RANKING

    sides = [found["router"], found["langchain-postgres"]]
    yield f"{found['benchmark']}: n {found['n']}, {found['passages']} passages; 95 % intervals"
    yield f"{'':14}{'router':>24}{'langchain-postgres':>24}"
    for name in RANKING:
        yield f"{name:14}" + "".join(f"{_with_interval(side, name, 3):>24}" for side in sides)
    for name in ("p50", "p99"):
        times = [_with_interval(side["search_ms"], name, 1) for side in sides]
        yield f"{f'search {name} ms':14}" + "".join(f"{one:>24}" for one in times)


def _with_interval(side: Mapping[str, Any], name: str, digits: int) -> str:
    low, high = side[f"{name}_ci"]
    return f"{side[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


if __name__ == "__main__":
    main()
