"""A real training in a process of its own: what it writes, how it stops, and how it goes on."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from safetensors.numpy import load_file

from backends.base import Message
from backends.errors import Misconfigured, Refused
from backends.finetune.examples import Example
from backends.finetune.job import Job, Measured, Rival, read_job
from backends.finetune.lengths import context_of, open_counter
from backends.finetune.process import run_job
from backends.finetune.recipe import Recipe
from backends.finetune.train import Interrupted
from backends.finetune.work import do
from backends.manifest import read_adapter
from tests.support.tiny_base import tiny_base

__all__ = ["tiny_base"]

RECIPE = Recipe(rank=4, alpha=8, epochs=3, batch=4, rehearsal=0.0)
ROWS = tuple(
    Example((Message("user", f"Which way is number {number}?"),), ("up", "down")[number % 2])
    for number in range(20)
)
STEPS = 12


def job(base: Path, out: Path, **fields: Any) -> Job:
    known: dict[str, Any] = {
        "base": base,
        "base_name": "tiny",
        "out": out,
        "stamp": "stamp",
        "recipe": RECIPE,
        "training": ROWS[:16],
        "measuring": ROWS[16:],
        "general": ("Hello", "Thank you"),
        "max_tokens": 8,
    }
    return Job(**(known | fields))


@dataclass
class Calm:
    """Nobody asks to stop, unless a test does."""

    patient: bool = False
    asked: bool = False


Step: TypeAlias = tuple[str, int, int, float | None]


def did(what: Job, heard: list[Step] | None = None, *, stop_at: int = 0) -> Measured:
    """Do a job in this process, which has imported torch once for all tests."""
    stop = Calm()

    def told(phase: str, done: int, of: int, loss: float | None = None) -> None:
        if heard is not None:
            heard.append((phase, done, of, loss))
        if phase == "training" and done == stop_at:
            assert stop.patient, "only training is told to stop and not ended"
            stop.asked = True

    what.out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # What PyTorch, Transformers and TRL think of one another is not ours to test.
        warnings.simplefilter("ignore")
        return do(what, told, stop)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters") / "ways"


@pytest.fixture(scope="module")
def events() -> list[Step]:
    return []


@pytest.fixture(scope="module")
def measured(tiny_base: Path, out: Path, events: list[Step]) -> Measured:
    return did(job(tiny_base, out), events)


def test_a_training_tells_how_far_it_is(measured: Measured, events: list[Step]) -> None:
    steps = [one for one in events if one[0] == "training"]
    assert [at for _, at, _, _ in steps] == list(range(1, STEPS + 1))
    assert {of for _, _, of, _ in steps} == {STEPS}
    assert measured.trained["steps"] == STEPS
    assert measured.trained["device"] == "cpu"
    losses = [loss for _, _, _, loss in steps if loss is not None]
    assert losses[-1] < losses[0]


def test_what_is_written_is_a_lora_that_servers_read(measured: Measured, out: Path) -> None:
    spec = read_adapter(out, name="ways", base="tiny")
    config = json.loads((out / "adapter_config.json").read_text())
    weights = load_file(out / "adapter_model.safetensors")
    assert (spec.rank, spec.base) == (4, "tiny")
    assert config["base_model_name_or_path"] == "tiny"
    assert config["target_modules"] == [
        "down_proj",
        "gate_proj",
        "k_proj",
        "o_proj",
        "q_proj",
        "up_proj",
        "v_proj",
    ]
    learnt = [one for name, one in weights.items() if "lora_B" in name]
    assert len(learnt) == 14
    assert all(np.isfinite(one).all() and np.abs(one).max() > 0 for one in learnt)


def test_metrics_are_a_line_a_step_and_checkpoints_are_gone(measured: Measured, out: Path) -> None:
    lines = [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]
    assert [one["step"] for one in lines] == list(range(1, STEPS + 1))
    assert all("loss" in one and "learning_rate" in one for one in lines)
    assert not list(out.glob("checkpoint*"))


def test_both_sides_answer_what_was_held_out(measured: Measured) -> None:
    assert [one.reference for one in measured.answers] == [one.answer for one in ROWS[16:]]
    assert measured.against_base
    assert [one.candidate for one in measured.answers] != [one.rival for one in measured.answers]
    assert len(measured.general) == 2
    assert all(before >= 0 and after > before for before, after in measured.general)


def test_what_is_trained_already_is_not_trained_again(
    measured: Measured, tiny_base: Path, out: Path
) -> None:
    heard: list[Step] = []
    again = did(job(tiny_base, out, rival=Rival(out, tiny_base)), heard)
    assert "training" not in {phase for phase, *_ in heard}
    assert again.trained == measured.trained
    # Against itself there is no difference.
    assert all(one.candidate == one.rival for one in again.answers)
    assert not again.against_base


def test_a_folder_of_another_adapter_is_not_overwritten(
    measured: Measured, tiny_base: Path, out: Path
) -> None:
    with pytest.raises(Refused, match="a version never changes"):
        did(job(tiny_base, out, stamp="other"))


def test_a_training_that_is_stopped_goes_on_to_the_same_weights(
    measured: Measured, tiny_base: Path, out: Path, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted) as interrupted:
        did(job(tiny_base, tmp_path), stop_at=5)
    step = interrupted.value.step
    assert 5 <= step < STEPS
    checkpoint = tmp_path / "checkpoints" / f"checkpoint-{step}"
    assert (checkpoint / "adapter_model.safetensors").is_file()

    with pytest.raises(Refused, match="other rows, another base or another recipe"):
        did(job(tiny_base, tmp_path, stamp="other", resume=True))
    resumed = did(job(tiny_base, tmp_path, resume=True))
    assert resumed.trained["resumed_at"] == step
    whole, parts = (load_file(one / "adapter_model.safetensors") for one in (out, tmp_path))
    for name, weights in whole.items():
        np.testing.assert_allclose(weights, parts[name], atol=1e-5)


def test_small_talk_of_the_base_is_rehearsed_where_it_comes_to_an_end(
    tiny_base: Path, tmp_path: Path
) -> None:
    heard: list[Step] = []
    recipe = replace(RECIPE, epochs=1, rehearsal=0.25)
    with pytest.raises(Interrupted):
        did(job(tiny_base, tmp_path, recipe=recipe, rehearsing=("Hi",) * 9), heard, stop_at=1)
    assert ("rehearsing", 4, 4, None) in heard


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="4 bits may be had here")
def test_four_bits_without_cuda_are_refused_with_the_reason(
    tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"(no CUDA here|bitsandbytes)"):
        did(job(tiny_base, tmp_path, recipe=replace(RECIPE, quantised=True)))


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed here")
async def test_mlflow_that_is_not_installed_is_named(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="MLflow is not installed"):
        await run_job(job(tiny_base, tmp_path / "out", mlflow="ways"), lambda event: None)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"config\.json.*cannot be read"):
        context_of(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Misconfigured, match="cannot be read as a tokenizer"):
        open_counter(tmp_path)


def test_a_job_is_read_as_it_was_written(tiny_base: Path, tmp_path: Path) -> None:
    written = job(tiny_base, tmp_path, rival=Rival(tmp_path, tiny_base), rehearsing=("Hi",))
    written.write(tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == written


def test_tokens_are_counted_with_the_template_around_them(tiny_base: Path) -> None:
    count = open_counter(tiny_base)
    turns = (Message("user", "The question goes to the model."), Message("assistant", "Yes."))
    assert context_of(tiny_base) == 8192
    assert count(turns) > count(turns[:1]) > 6
