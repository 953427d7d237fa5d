"""Adapters measured through the agents, on twins and over HTTP, and what the command says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from backends.adapters import Adapter
from backends.errors import Refused, Unavailable
from backends.generation import GenerationRequest, Sampling
from backends.memory.generator import Script, ScriptedGenerator
from backends.memory.registry import MemoryAdapterRegistry
from backends.registry import open_registry
from router.cli.boundary import run
from router.config import Settings
from router.errors import InvalidRequest, UnknownModel
from router.evaluation.behaviour import answer_all, served, with_adapter
from router.evaluation.behaviour_run import Measuring, Order, agents_of, measure
from router.evaluation.held_out import shipped_rows
from tests.support.adapters import adapter_spec
from tests.support.model_server import BASE_MODEL, model_server

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["beige", "pink"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
COLOURS = {"champagne": "beige", "nude": "beige", "blush": "pink", "powder": "pink"}


def chat(wish: str, reference: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": wish}, {"role": "assistant", "content": reference}]
    return {"messages": turns, **more}


def file(folder: Path, *rows: Mapping[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def colours(folder: Path) -> Path:
    return file(folder, *(chat(one, json.dumps({"colour": c})) for one, c in COLOURS.items()))


def tuned(request: GenerationRequest) -> bool:
    return request.adapter is not None and "@" in request.adapter


def says_colours(request: GenerationRequest) -> str:
    """The new version knows them all, the live one says beige, the base writes prose."""
    wish = request.messages[-1].content
    if request.adapter == "attributes@2":
        return json.dumps({"colour": COLOURS[wish]})
    return json.dumps({"colour": "beige"}) if tuned(request) else f"Perhaps {wish}?"


async def registry_of(*names: str, **fields: Any) -> MemoryAdapterRegistry:
    registry = MemoryAdapterRegistry()
    for seed, name in enumerate(names):
        await registry.add(adapter_spec(name, seed=seed, **fields))
    return registry


def measuring(registry: MemoryAdapterRegistry, generator: ScriptedGenerator) -> Measuring:
    return Measuring(registry, generator, host=None, reader=None, within_s=10.0)


async def test_a_candidate_stands_beside_the_live_version_and_the_base_in_its_own_prompts(
    tmp_path: Path,
) -> None:
    registry = await registry_of(
        "attributes",
        "attributes",
        schema=SCHEMA,
        system_prompt="Name the colour.",
        sampling=Sampling(max_tokens=40),
    )
    await registry.promote("attributes", 1)
    generator = ScriptedGenerator(
        says_colours, model="tiny", adapters=("attributes@1", "attributes@2")
    )

    found = await measure(
        Order("attributes@2", data=colours(tmp_path), record=True), measuring(registry, generator)
    )

    assert (found["n"], found["complete"], found["task"]["measure"]) == (4, True, "exact JSON")
    assert (found["adapter"], found["against"]["name"]) == ("attributes@2", "attributes@1")
    shares = [one["task"]["score"] for one in (found, found["against"], found["base"])]
    assert shares == [1.0, 0.5, 0.0]
    assert found["against"]["difference"]["task"] == 0.5
    forms = [one["format"]["share"] for one in (found, found["against"], found["base"])]
    assert forms == [1.0, 1.0, 0.0]
    [problem] = found["base"]["format"]["problems"]
    assert "not the JSON that was asked for" in problem
    assert found["fidelity"]["exact"] is None
    assert found["tokens_per_s"] > 0
    assert {one.messages[0].content for one in generator.requests} == {"Name the colour."}
    assert {one.sampling.max_tokens for one in generator.requests} == {40}
    recorded = await registry.find("attributes", 2)
    assert recorded is not None
    assert recorded.spec.report == {"behaviour": found}


async def test_hybrid_rows_are_answered_from_their_evidence_with_verified_citations(
    tmp_path: Path,
) -> None:
    evidence = ["Boots may be returned within 40 days.", "Parcels to Spain cost €6.20."]
    row = chat("How long?", "Boots may be returned within 40 days [1].", evidence=evidence)
    registry = await registry_of("voice")
    generator = ScriptedGenerator(
        lambda request: (
            "Boots may be returned within 40 days [1]."
            if request.adapter == "voice@1"
            else "Parcels to Spain cost €6.20 [2]."
        ),
        model="tiny",
        adapters=("voice@1",),
    )

    found = await measure(Order("voice", data=file(tmp_path, row)), measuring(registry, generator))

    fidelity, base = found["fidelity"], found["base"]["fidelity"]
    assert (fidelity["exact"], fidelity["citations_kept"]) == (1.0, 1.0)
    assert (base["copied"], base["nothing_invented"], base["citations_kept"]) == (0.0, 1.0, 0.0)
    assert found["against"] is None


async def test_the_styles_of_shipped_rows_are_judged_by_the_written_pairs() -> None:
    rows = {row.wish: row.reference for row in shipped_rows("tone", None)}
    sources = {row.wish: row.source or row.wish for row in shipped_rows("tone", None)}
    generator = ScriptedGenerator(
        lambda request: (rows if tuned(request) else sources)[request.messages[-1].content],
        model="tiny",
        adapters=("tone@1",),
    )

    found = await measure(Order("tone"), measuring(await registry_of("tone"), generator))

    ours, base = found["task"]["style"], found["base"]["task"]["style"]
    assert found["data"] == "shipped"
    assert found["task"]["score"] == 1.0
    assert set(ours["by_style"]) == set(found["judges"]) == {"formal", "friendly", "short"}
    assert ours["share"] > 0.9 > 0.3 > base["share"]
    assert found["base"]["difference"]["style_ci"][0] > 0.5
    assert (found["fidelity"]["exact"], base["share_n"]) == (1.0, found["n"])


async def test_what_was_measured_before_the_model_went_away_is_told_and_not_recorded(
    tmp_path: Path,
) -> None:
    registry = await registry_of("attributes", schema=SCHEMA)
    gone = Unavailable("The model server has gone.", backend="model server")

    def leaves(request: GenerationRequest) -> Script | str:
        if request.messages[-1].content == "blush" and not tuned(request):
            return Script(fails_with=gone)
        return json.dumps({"colour": "beige"})

    generator = ScriptedGenerator(leaves, model="tiny", adapters=("attributes@1",))

    found = await measure(
        Order("attributes", data=colours(tmp_path), record=True), measuring(registry, generator)
    )

    assert (found["n"], found["asked"], found["complete"]) == (2, 4, False)
    assert found["stopped"] == {
        "code": "model_unavailable",
        "message": "The model server has gone.",
    }
    assert found["task"]["score"] == found["base"]["task"]["score"] == 1.0
    kept = await registry.find("attributes")
    assert kept is not None
    assert kept.spec.report is None


async def test_a_model_that_never_answers_is_a_failure_and_no_figure(tmp_path: Path) -> None:
    generator = ScriptedGenerator("Hello.", model="tiny", adapters=("voice@1",))
    generator.unavailable = Unavailable("The model server is down.", backend="model server")
    registry = await registry_of("voice")
    on = measuring(registry, generator)
    rows = file(tmp_path, chat("Hi", "Hello."))

    with pytest.raises(Unavailable, match="down"):
        await measure(Order("voice", data=rows), on)

    adapter = await registry.find("voice")
    assert adapter is not None
    with pytest.raises(Unavailable, match="down"):
        await answer_all(
            shipped_rows("tone", None), [with_adapter(adapter)], agents_of(on), within_s=10.0
        )


async def test_an_answer_that_takes_too_long_stops_the_measurement(tmp_path: Path) -> None:
    never = asyncio.Event()
    generator = ScriptedGenerator(
        Script(text="Hello you.", gate=never), model="tiny", adapters=("voice@1",)
    )
    on = Measuring(await registry_of("voice"), generator, None, None, within_s=0.05)

    with pytest.raises(Unavailable, match=r"longer than 0\.05 s"):
        await measure(Order("voice", data=file(tmp_path, chat("Hi", "Hello."))), on)


async def test_a_row_that_the_server_refuses_counts_against_who_cannot_answer_it(
    tmp_path: Path,
) -> None:
    long = Refused("The prompt is too long.", backend="model server", status=400)
    generator = ScriptedGenerator(
        lambda request: Script(fails_with=long) if tuned(request) else "Hello.",
        model="tiny",
        adapters=("voice@1",),
    )

    found = await measure(
        Order("voice", data=file(tmp_path, chat("Hi", "Hello."))),
        measuring(await registry_of("voice"), generator),
    )

    assert (found["n"], found["complete"], found["task"]["score"]) == (1, True, 0.0)
    assert found["format"]["problems"] == {"The prompt is too long.": 1}


@pytest.mark.parametrize(
    ("order", "error", "says"),
    [
        (Order("tone@3"), UnknownModel, "There is no adapter 'tone@3'; there are tone@1, voice@2"),
        (Order("No Name"), UnknownModel, "There is no adapter 'No Name'"),
        (Order("voice", against="tone@2"), UnknownModel, "There is no adapter 'tone@2'"),
        (Order("voice", against="voice@2"), InvalidRequest, "cannot be compared with itself"),
        (Order("voice"), InvalidRequest, "No rows ship for the adapter voice"),
    ],
)
async def test_what_cannot_be_measured_is_said_before_anybody_is_asked(
    order: Order, error: type[Exception], says: str
) -> None:
    generator = ScriptedGenerator("Hello.", adapters=("voice@1", "voice@2"))
    registry = await registry_of("voice", "voice", "tone")

    with pytest.raises(error, match=says):
        await measure(order, measuring(registry, generator))

    assert generator.requests == []


class Places:
    """A host of two places; what is served at each."""

    def __init__(self, **places: Sequence[str]) -> None:
        self.places = {name: set(served) for name, served in places.items()}

    async def bases(self) -> Sequence[str]:
        return ["tiny"]

    async def load(self, adapter: Adapter) -> None:
        for place in self.places.values():
            place.add(adapter.served_as)

    async def unload(self, served_as: str) -> None:
        for place in self.places.values():
            place.discard(served_as)

    async def loaded(self) -> Mapping[str, frozenset[str]]:
        return {name: frozenset(place) for name, place in self.places.items()}


async def test_only_what_was_brought_for_the_measurement_is_unloaded_afterwards() -> None:
    registry = await registry_of("voice", "voice", "voice")
    adapters = await registry.adapters()
    host = Places(one=["voice@1", "voice@2"], two=["voice@1"])

    async with served(host, adapters):
        assert host.places == {place: {"voice@1", "voice@2", "voice@3"} for place in host.places}

    # A place that had lost what another one serves keeps it.
    assert host.places == {place: {"voice@1", "voice@2"} for place in host.places}


@contextmanager
def live_server(models: Sequence[tuple[str, str | None]]) -> Iterator[str]:
    """A model server on a loop of its own, while a command runs on another."""
    started, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    url: list[str] = []

    async def serve() -> None:
        async with model_server() as server:
            server.models = list(models)
            url.append(server.url)
            started.set()
            await done.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(started.wait(), loop).result(timeout=10)
        yield url[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(timeout=10)
        loop.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def connected(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mapping[str, str]]:
    """Settings of a model server that serves ``voice@1``, and of a registry that knows it."""

    async def registered() -> None:
        async with open_registry(database_url, schema=Settings().database_schema) as registry:
            await registry.add(adapter_spec("voice", base=BASE_MODEL))

    asyncio.run(registered())
    with live_server([(BASE_MODEL, None), ("voice@1", BASE_MODEL)]) as url:
        ours = {
            "ROUTER_HOME": str(home),
            "ROUTER_DATABASE_URL": database_url,
            "ROUTER_VLLM_URL": url,
        }
        for name, value in ours.items():
            monkeypatch.setenv(name, value)
        yield ours


def test_the_command_prints_one_object_or_a_table(
    connected: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = file(tmp_path, *(chat(f"Say {one}", f"It is {one}.") for one in range(6)))

    assert run(["eval", "behaviour", "voice", "--data", str(rows), "--limit", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {
        "n",
        "task",
        "format",
        "fidelity",
        "latency_ms",
        "tokens_per_s",
        "against",
        "base",
    } < set(found)
    assert (found["adapter"], found["n"], found["base"]["name"]) == ("voice@1", 4, BASE_MODEL)

    assert run(["eval", "behaviour", "voice@1", "--data", str(rows), "--record"]) == 0
    printed = capsys.readouterr()
    assert "voice@1 on 6 rows" in printed.out
    assert "facts exact" in printed.out
    assert printed.err == "recorded: voice@1\n"


def test_the_command_fails_with_a_sentence(
    connected: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = file(tmp_path)

    assert run(["eval", "behaviour", "voice", "--data", str(empty), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["message"]) == (
        "invalid_request",
        f"{empty}: there are no rows in it",
    )
    assert run(["eval", "behaviour", "nobody"]) == 1
    assert "There is no adapter 'nobody'; there are voice@1" in capsys.readouterr().err
