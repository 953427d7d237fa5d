"""Which adapter answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agents.choosing import SURE
from agents.likeness import FAR, MANY, nearest, parts, shipped
from backends.adapters import AdapterChoice
from backends.errors import Unavailable
from backends.memory.embedder import HashingEmbedder
from tests.support.adapters import adapter_spec
from tests.support.registries import REGISTRY_DOWN, FailingRegistry, chooser_on, put_live

if TYPE_CHECKING:
    from backends.base import Vectors

VOICE = adapter_spec("brand-voice", examples=("rewrite this reply in our brand voice",))
TONE = adapter_spec("tone", seed=1, examples=("make this letter more formal",))
COLOURS = adapter_spec(
    "attributes", seed=2, examples=("which colour is champagne",), schema={"type": "object"}
)


async def filled() -> FailingRegistry:
    registry = FailingRegistry()
    for spec in (VOICE, TONE, COLOURS):
        await put_live(registry, spec)
    return registry


async def test_a_name_is_the_live_version() -> None:
    registry = await filled()
    newer = await put_live(registry, replace(VOICE, system_prompt="Be warm."))
    chosen = await (await chooser_on(registry)).choose("anything", "brand-voice")
    assert chosen.choice == AdapterChoice("brand-voice", 2, "caller")
    assert (chosen.served_as, chosen.registered) == ("brand-voice@2", await _live(registry, newer))
    assert "the caller asked for" in chosen.reason


@pytest.mark.parametrize("state", ["candidate", "retired"])
async def test_a_name_with_a_number_is_exactly_that_version(state: str) -> None:
    registry = await filled()
    other = await registry.add(replace(VOICE, system_prompt="Be warm."))
    if state == "retired":
        await registry.retire("brand-voice", other.version)
    chosen = await (await chooser_on(registry)).choose("anything", "brand-voice@2")
    assert chosen.choice == AdapterChoice("brand-voice", 2, "caller")
    assert chosen.registered is not None
    assert chosen.registered.spec.system_prompt == "Be warm."


@pytest.mark.parametrize("named", ["nobody", "brand-voice@9", "org/Model-7B", "brand-voice@0", ""])
async def test_what_the_registry_does_not_know_goes_to_the_server_as_it_is(named: str) -> None:
    chosen = await (await chooser_on(await filled())).choose("anything", named)
    assert chosen.choice == AdapterChoice(named, None, "caller")
    assert (chosen.served_as, chosen.registered) == (named, None)


async def test_a_name_without_a_live_version_is_none_that_the_registry_knows() -> None:
    registry = FailingRegistry()
    await registry.add(VOICE)
    chosen = await (await chooser_on(registry)).choose("anything", "brand-voice")
    assert chosen.registered is None


async def test_the_nearest_examples_choose() -> None:
    chooser = await chooser_on(await filled())
    chosen = await chooser.choose("please make this letter formal", None)
    assert chosen.served_as == "tone@1"
    assert chosen.choice.chosen_by == "examples"
    assert chosen.choice.similarity is not None
    assert chosen.choice.margin is not None
    assert 0 < chosen.choice.margin < chosen.choice.similarity <= 1
    assert "whose examples are of this kind" in chosen.reason


async def test_a_question_of_no_kind_is_the_base_models() -> None:
    chooser = await chooser_on(await filled())
    chosen = await chooser.choose("recite the alphabet backwards", None)
    assert (chosen.served_as, chosen.registered) == (None, None)
    assert (chosen.choice.name, chosen.choice.chosen_by) == ("tiny", "default")
    assert chosen.choice.similarity is not None
    assert chosen.choice.similarity < 0.2
    assert "the base model answers" in chosen.reason


async def test_a_question_of_no_kind_is_the_default_adapters() -> None:
    chooser = await chooser_on(await filled(), default="brand-voice")
    chosen = await chooser.choose("recite the alphabet backwards", None)
    assert (chosen.served_as, chosen.choice.chosen_by) == ("brand-voice@1", "default")
    assert "the default" in chosen.reason


async def test_a_default_that_is_not_live_is_told_and_the_base_model_answers() -> None:
    chooser = await chooser_on(await filled(), default="house-voice")
    chosen = await chooser.choose("recite the alphabet backwards", None)
    assert chosen.served_as is None
    assert "the default adapter house-voice is not live" in chosen.reason


async def test_an_adapter_with_a_form_has_to_be_surely_meant() -> None:
    chooser = await chooser_on(await filled())
    sure = await chooser.choose("which colour is champagne", None)
    assert sure.served_as == "attributes@1"
    likely = await chooser.choose("is champagne a wine", None)
    assert likely.choice.similarity is not None
    assert 0.6 <= likely.choice.similarity < SURE
    assert likely.served_as is None
    assert "the nearest is attributes@1" in likely.reason


async def test_without_adapters_there_is_nothing_to_say() -> None:
    chosen = await (await chooser_on(FailingRegistry())).choose("anything", None)
    assert chosen.choice == AdapterChoice("tiny", None, "default")
    assert chosen.reason == ""


async def test_an_adapter_without_examples_is_found_by_name_alone() -> None:
    registry = FailingRegistry()
    await put_live(registry, adapter_spec("plain"))
    chooser = await chooser_on(registry)
    assert (await chooser.choose("plain", None)).served_as is None
    assert (await chooser.choose("plain", "plain")).served_as == "plain@1"


async def test_adapters_of_other_bases_do_not_count() -> None:
    registry = FailingRegistry()
    await put_live(registry, replace(VOICE, base="another"))
    chooser = await chooser_on(registry)
    assert (await chooser.choose(VOICE.examples[0], None)).choice.chosen_by == "default"
    for named in ("brand-voice", "brand-voice@1"):
        assert (await chooser.choose("anything", named)).registered is None


async def test_a_registry_that_is_down_is_told_and_the_last_adapters_stand() -> None:
    registry = await filled()
    chooser = await chooser_on(registry)
    registry.failure = REGISTRY_DOWN
    await chooser.live.refresh()
    chosen = await chooser.choose(TONE.examples[0], None)
    assert chosen.served_as == "tone@1"
    assert "The database is down." in chosen.stale
    named = await chooser.choose("anything", "brand-voice")
    assert named.registered is not None
    # Another version than the live one cannot be looked up now; the server may have it.
    other = await chooser.choose("anything", "brand-voice@7")
    assert (other.served_as, other.registered) == ("brand-voice@7", None)
    assert "brand-voice@7" in other.stale


async def test_an_embedder_that_is_down_leaves_the_default() -> None:
    class Down(HashingEmbedder):
        down = False

        async def embed(self, texts: object) -> Vectors:
            if self.down:
                raise Unavailable("The embedder is down.", backend="embedder")
            return await super().embed(texts)  # type: ignore[arg-type]

    embedder = Down()
    chooser = await chooser_on(await filled(), embedder=embedder)
    embedder.down = True
    chosen = await chooser.choose(TONE.examples[0], None)
    assert chosen.choice == AdapterChoice("tiny", None, "default")
    assert "The embedder is down." in chosen.reason


def test_a_long_text_is_compared_by_its_ends_as_well() -> None:
    pasted = "Make this formal:\n" + "The boots were late. " * 200 + "\nThanks for doing that."
    cut = parts(pasted)
    assert "Make this formal:" in cut
    assert "Thanks for doing that." in cut
    assert max(map(len, cut)) <= 300
    assert parts("Make this formal") == ("Make this formal",)
    assert parts("  \n ") == ()


def test_the_nearest_has_the_features_that_ship() -> None:
    asked = np.eye(4, dtype=np.float32)[:1]
    examples = [np.eye(4, dtype=np.float32)[:1].repeat(20, axis=0), np.eye(4, dtype=np.float32)[1:]]
    found = nearest(asked, examples)
    assert found is not None
    assert found.index == 0
    assert found.features == {
        "cosine": 1.0,
        "margin": FAR,
        "neighbours": 1.0,
        "examples": min(20, MANY) / MANY,
    }
    assert found.features.keys() == shipped().weights.keys()
    assert nearest(asked, []) is None


async def _live(registry: FailingRegistry, adapter: object) -> object:
    return await registry.find("brand-voice", 2)
