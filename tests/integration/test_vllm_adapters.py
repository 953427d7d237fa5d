"""Adapters on several model servers: who gets calls for them, loading, unloading, refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.base import Message
from backends.errors import Refused, Unavailable
from backends.generation import GenerationRequest
from backends.lora import WEIGHTS
from backends.manifest import model_hash
from backends.vllm import Retries, VllmGenerator
from tests.support.model_server import ADAPTER, BASE_MODEL, ModelServer, Plan, model_server
from tests.support.served import adapter

HELLO = (Message("user", "Hello there"),)
ASKED = GenerationRequest(HELLO, adapter=ADAPTER)
LLAMA: dict[str, object] = {
    "model_type": "llama",
    "hidden_size": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
}
BASE_ALONE: list[tuple[str, str | None]] = [(BASE_MODEL, None)]


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[VllmGenerator, ModelServer, ModelServer]]:
    async with (
        model_server() as one,
        model_server() as two,
        VllmGenerator.open(f"{one.url},{two.url}", retries=Retries(base=0.0)) as generator,
    ):
        yield generator, one, two


def named(name: str) -> GenerationRequest:
    return GenerationRequest(HELLO, adapter=name)


# --- who gets a call -----------------------------------------------------------------------------


async def test_a_server_without_the_adapter_gets_no_call_for_it() -> None:
    async with two_servers() as (generator, one, two):
        one.models = BASE_ALONE
        for _ in range(5):
            await generator.complete(ASKED)
        assert (len(one.calls), len(two.calls)) == (0, 5)


async def test_servers_with_the_adapter_share_its_calls() -> None:
    async with two_servers() as (generator, one, two):
        for _ in range(6):
            await generator.complete(ASKED)
        assert (len(one.calls), len(two.calls)) == (3, 3)


async def test_the_base_is_still_asked_of_every_server() -> None:
    async with two_servers() as (generator, one, two):
        one.models = BASE_ALONE
        await generator.complete(ASKED)
        for _ in range(4):
            await generator.complete(GenerationRequest(HELLO))
        assert (len(one.calls), len(two.calls)) == (2, 3)


async def test_a_server_that_has_lost_the_adapter_hands_its_call_to_the_next() -> None:
    async with two_servers() as (generator, one, two):
        await generator.complete(ASKED)
        for server in (one, two):
            server.calls.clear()
        one.models = BASE_ALONE
        answers = [await generator.complete(ASKED) for _ in range(4)]
        assert {answer.model for answer in answers} == {ADAPTER}
        assert len(one.calls) <= 1


async def test_an_adapter_that_was_loaded_since_is_found() -> None:
    async with two_servers() as (generator, one, two):
        one.models, two.models = BASE_ALONE, BASE_ALONE
        with pytest.raises(Refused):
            await generator.complete(ASKED)
        two.models = [*BASE_ALONE, (ADAPTER, BASE_MODEL)]
        assert (await generator.complete(ASKED)).model == ADAPTER


async def test_an_adapter_that_nobody_serves_is_refused_with_every_name_there_is() -> None:
    async with two_servers() as (generator, one, two):
        two.models = [*BASE_ALONE, ("other-voice", BASE_MODEL)]
        with pytest.raises(Refused, match="pirate") as caught:
            await generator.complete(named("pirate"))
        assert caught.value.status == 404
        assert caught.value.hint == f"It serves {BASE_MODEL}, {ADAPTER}, other-voice."
        assert not one.calls + two.calls


async def test_an_adapter_whose_only_server_is_down_is_unavailable() -> None:
    async with two_servers() as (generator, one, two):
        one.models = BASE_ALONE
        await generator.complete(ASKED)
        await two.stop()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await generator.complete(ASKED)
        assert not one.calls


async def test_many_callers_of_an_unknown_adapter_look_around_together() -> None:
    async with two_servers() as (generator, one, _):
        outcomes = await asyncio.gather(
            *(generator.complete(named("pirate")) for _ in range(20)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {Refused}
        assert one.listings <= 3


# --- loading and unloading -----------------------------------------------------------------------


async def test_an_adapter_is_loaded_on_every_server_and_answers(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        loaded = adapter(tmp_path, version=3)
        await generator.host.load(loaded)
        assert "voice@3" in one.names
        assert "voice@3" in two.names
        assert (await generator.complete(named("voice@3"))).model == "voice@3"
        places = await generator.host.loaded()
        assert [names is not None and "voice@3" in names for names in places.values()] == [
            True,
            True,
        ]


async def test_loading_what_is_there_does_nothing(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, _):
        loaded = adapter(tmp_path)
        await generator.host.load(loaded)
        await generator.host.load(loaded)
        assert one.loads == ["voice@1"]


async def test_two_routers_may_load_the_same_at_once(tmp_path: Path) -> None:
    async with model_server() as server:
        async with VllmGenerator.open(server.url) as one, VllmGenerator.open(server.url) as two:
            loaded = adapter(tmp_path)
            await asyncio.gather(one.host.load(loaded), two.host.load(loaded))
        assert server.names.count("voice@1") == 1


async def test_what_one_server_cannot_load_no_server_keeps(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        two.max_lora_rank = 8
        with pytest.raises(Refused, match="rank 16") as caught:
            await generator.host.load(adapter(tmp_path, rank=16))
        assert caught.value.hint == "Start it with --max-lora-rank 16, or train with a lower rank."
        assert "voice@1" not in one.names + two.names
        assert not generator.host.held


async def test_what_was_there_before_stays_when_a_load_fails(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        loaded = adapter(tmp_path, rank=16)
        one.models.append((loaded.served_as, BASE_MODEL))
        one.roots[loaded.served_as] = str(loaded.spec.folder)
        two.max_lora_rank = 8
        with pytest.raises(Refused):
            await generator.host.load(loaded)
        assert loaded.served_as in one.names


async def test_a_cancelled_load_leaves_nothing_behind(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        two.loading.clear()
        task = asyncio.create_task(generator.host.load(adapter(tmp_path)))
        await two.told_to_load.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "voice@1" not in one.names + two.names


async def test_a_server_that_is_down_makes_a_load_unavailable(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        await two.stop()
        with pytest.raises(Unavailable):
            await generator.host.load(adapter(tmp_path))
        assert "voice@1" not in one.names


async def test_an_adapter_is_unloaded_everywhere_and_unknown_ones_are_fine(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        await generator.host.load(adapter(tmp_path))
        await generator.host.unload("voice@1")
        await generator.host.unload("voice@1")
        assert "voice@1" not in one.names + two.names
        with pytest.raises(Refused):
            await generator.complete(named("voice@1"))


async def test_unloading_goes_on_where_one_server_is_down(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        await generator.host.load(adapter(tmp_path))
        await one.stop()
        with pytest.raises(Unavailable):
            await generator.host.unload("voice@1")
        assert "voice@1" not in two.names


async def test_an_answer_in_flight_ends_with_the_version_it_began_with(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        await generator.host.load(adapter(tmp_path))
        going_on = asyncio.Event()
        server.plan(Plan(hold=going_on, hold_at=2))
        stream = generator.stream(named("voice@1"))
        first = await anext(stream)
        await generator.host.unload("voice@1")
        going_on.set()
        rest = [chunk async for chunk in stream]
        assert "voice@1" in first.text + "".join(chunk.text for chunk in rest)
        assert rest[-1].model == "voice@1"


async def test_the_bases_are_those_that_every_server_has() -> None:
    async with two_servers() as (generator, one, _):
        one.models = [("other", None), *BASE_ALONE]
        assert await generator.host.bases() == [BASE_MODEL]


async def test_a_base_is_named_by_where_it_is_from_as_well() -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.roots[BASE_MODEL] = "Qwen/Qwen3-8B"
        assert await generator.host.bases() == [BASE_MODEL, "Qwen/Qwen3-8B", "Qwen3-8B"]


async def test_without_a_server_there_are_no_bases() -> None:
    async with two_servers() as (generator, one, two):
        await one.stop()
        await two.stop()
        with pytest.raises(Unavailable, match="No model server answers"):
            await generator.host.bases()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["runtime_loading", "lora"])
async def test_a_server_that_loads_nothing_is_named_with_its_flags(
    tmp_path: Path, missing: str
) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        setattr(server, missing, False)
        with pytest.raises(Refused, match="loads no adapters at run time") as caught:
            await generator.host.load(adapter(tmp_path))
        hint = "Start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 --enable-lora."
        assert caught.value.hint == hint


async def test_an_adapter_of_another_base_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        with pytest.raises(Refused, match="trained from 'Qwen/Qwen3-8B'") as caught:
            await generator.host.load(adapter(tmp_path, base="Qwen/Qwen3-8B"))
        assert f"serves '{BASE_MODEL}'" in caught.value.problem
        assert not server.loads


@pytest.mark.parametrize(
    ("base", "root"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B", "/models/Qwen3-8B"),
        ("/data/Qwen3-8B/", "Qwen/Qwen3-8B"),
    ],
)
async def test_a_base_is_known_by_its_name_or_by_where_its_files_lie(
    tmp_path: Path, base: str, root: str
) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.roots[BASE_MODEL] = root
        await generator.host.load(adapter(tmp_path, base=base))


async def test_a_base_of_the_same_name_with_other_weights_is_refused(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        served = tmp_path / "served"
        served.mkdir()
        (served / "config.json").write_text("{}")
        (served / "model.safetensors").write_bytes(b"weights")
        server.roots[BASE_MODEL] = str(served)
        with pytest.raises(Refused, match="other weights"):
            await generator.host.load(adapter(tmp_path, base_hash="sha256:0"))
        # The hash decides, whatever the model is called.
        same = adapter(tmp_path, version=2, base="renamed", base_hash=model_hash(served))
        await generator.host.load(same)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"hidden_size": 32}, "v_proj as a matrix of 8 by 16; .* one of any by 32"),
        ({"hidden_size": 16, "num_hidden_layers": 2}, "layers.2.* more layers than the 2"),
        (LLAMA | {"num_attention_heads": 8}, "q_proj as a matrix of 16 by 16; .* one of 32 by 16"),
        (LLAMA | {"num_key_value_heads": 4}, "v_proj as a matrix of 8 by 16; .* one of 16 by 16"),
    ],
)
async def test_an_adapter_for_a_model_of_other_sizes_is_refused_before_it_is_sent(
    tmp_path: Path, config: dict[str, object], complaint: str
) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        (served := tmp_path / "served").mkdir()
        server.roots[BASE_MODEL] = str(served)
        (served / "config.json").write_text(json.dumps({"num_hidden_layers": 4} | config))
        sizes = {"layers.2.self_attn.q_proj": (16, 16), "layers.0.self_attn.v_proj": (8, 16)}
        with pytest.raises(Refused, match=complaint):
            await generator.host.load(adapter(tmp_path, sizes=sizes))
        assert not server.loads


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 9},
        LLAMA | {"num_hidden_layers": 1, "num_key_value_heads": 4},
        {"hidden_size": 32, "num_hidden_layers": 1, "vision_config": {}},
        {"text_config": {"hidden_size": 32}},
    ],
)
async def test_an_adapter_is_sent_where_the_models_sizes_are_its_own_or_not_known(
    tmp_path: Path, config: dict[str, object]
) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        (served := tmp_path / "served").mkdir()
        server.roots[BASE_MODEL] = str(served)
        (served / "config.json").write_text(json.dumps(config))
        await generator.host.load(adapter(tmp_path))
        assert server.loads


async def test_a_corrupt_file_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        damaged = adapter(tmp_path)
        weights = damaged.spec.folder / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-7])
        with pytest.raises(Refused, match="bytes"):
            await generator.host.load(damaged)
        assert not server.loads


async def test_files_that_are_no_longer_those_registered_are_refused(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        with pytest.raises(Refused, match="checksum"):
            await generator.host.load(adapter(tmp_path, weights_hash="sha256:0"))
        assert not server.loads


async def test_a_folder_that_the_server_does_not_see_is_named(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.elsewhere = True
        with pytest.raises(Refused, match="does not see the folder") as caught:
            await generator.host.load(adapter(tmp_path))
        assert "Mount it there" in caught.value.hint


async def test_what_the_server_says_of_other_failures_is_passed_on(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.engine_fault = "The size of tensor a (64) must match the size of tensor b (128)"
        with pytest.raises(Refused, match=r"cannot load voice@1: The size of tensor a \(64\)"):
            await generator.host.load(adapter(tmp_path))


async def test_an_engine_that_died_is_not_taken_for_a_bad_adapter(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.engine_fault = "EngineCore encountered an issue."
        server.healthy = False
        with pytest.raises(Unavailable):
            await generator.host.load(adapter(tmp_path))


async def test_another_adapter_by_the_same_name_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.models.append(("voice@1", BASE_MODEL))
        server.roots["voice@1"] = "/from/elsewhere"
        with pytest.raises(Refused, match="/from/elsewhere"):
            await generator.host.load(adapter(tmp_path))
        assert "voice@1" in server.names
