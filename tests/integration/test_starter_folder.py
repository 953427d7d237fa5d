"""The shipped starter model opens as a plain folder, and its adapters fit it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from backends.manifest import model_hash, read_adapter
from backends.slots import SLOTS
from backends.starter import STARTER
from backends.starter.chat import SPECIAL
from backends.starter.folder import ARTEFACT, adapter_folders, starter_folder
from backends.starter.skills import SKILLS
from backends.starter.weights import dequantised, quantised


def test_the_folder_is_written_once_and_holds_whole_weights(tmp_path: Path) -> None:
    folder = starter_folder(tmp_path)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert starter_folder(tmp_path) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    config = json.loads((folder / "config.json").read_text("utf-8"))
    weights = load_file(folder / "model.safetensors")
    assert weights["model.embed_tokens.weight"].shape == (
        config["vocab_size"],
        config["hidden_size"],
    )
    assert all(one.dtype == np.float32 and np.isfinite(one).all() for one in weights.values())
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


def test_an_incomplete_artefact_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        starter_folder(tmp_path / "cache", artefact=tmp_path)
    assert not (tmp_path / "cache").exists()


def test_the_adapters_are_those_of_the_skills_and_trained_from_this_base(tmp_path: Path) -> None:
    base = model_hash(starter_folder(tmp_path))
    folders = adapter_folders()
    assert set(folders) == set(SKILLS)
    for name, folder in folders.items():
        spec = read_adapter(folder)
        assert (spec.name, spec.base, spec.base_hash) == (name, STARTER, base)
        assert spec.system_prompt == SKILLS[name].system_prompt
        assert spec.prompting == "bare"


def test_the_tokenizer_keeps_slots_whole_and_gives_every_text_back() -> None:
    tokenizer = Tokenizer.from_file(str(ARTEFACT / "tokenizer.json"))
    for token in (*SLOTS, *SPECIAL):
        assert len(tokenizer.encode(token).ids) == 1
    text = "Grüße, <n1> naïve cafés — 我 🙂 costs €<n2>.\n- [1]"
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=True) == text


def test_what_ships_is_small() -> None:
    size = sum(path.stat().st_size for path in ARTEFACT.rglob("*") if path.is_file())
    assert size < 30 * 2**20


def test_quantised_weights_are_within_half_a_step_of_the_originals() -> None:
    matrix = np.random.default_rng(1).normal(size=(8, 64)).astype(np.float32)
    back = dequantised(quantised({"m": matrix, "v": matrix[0]}))
    step = np.abs(matrix).max(axis=1, keepdims=True) / 127
    assert (np.abs(back["m"] - matrix) <= step * 0.6).all()
    assert (back["v"] == matrix[0]).all()
