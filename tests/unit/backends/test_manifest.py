"""The folder of an adapter: what is read from it, and what is refused."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.errors import Refused
from backends.generation import Sampling
from backends.lora import CONFIG, WEIGHTS, read_lora
from backends.manifest import MANIFEST, model_hash, read_adapter, write_manifest
from tests.support.adapters import lora_folder, manifest


def test_a_folder_of_pefts_reads_without_a_manifest(tmp_path: Path) -> None:
    spec = read_adapter(lora_folder(tmp_path / "house-voice", rank=8, base="org/model"))
    assert (spec.name, spec.base, spec.rank) == ("house-voice", "org/model", 8)
    assert spec.folder == tmp_path / "house-voice"
    assert spec.weights_hash.startswith("sha256:")


def test_the_callers_name_and_base_win(tmp_path: Path) -> None:
    folder = manifest(lora_folder(tmp_path / "Some_Folder"), {"name": "written", "base": "there"})
    assert read_adapter(folder).name == "written"
    spec = read_adapter(folder, name="said", base="starter")
    assert (spec.name, spec.base) == ("said", "starter")


def test_a_manifest_that_was_written_reads_back_the_same(tmp_path: Path) -> None:
    folder = lora_folder(tmp_path / "attributes")
    spec = replace(
        read_adapter(folder),
        base_hash="sha256:" + "a" * 64,
        description="Colours of the master data.",
        examples=("which colour is champagne?", "normalise: blush"),
        system_prompt="Answer in JSON.\n",
        sampling=Sampling(max_tokens=64, temperature=0.0, stop=("\n\n",)),
        schema={"type": "object", "properties": {"colour": {"enum": ["white", "pink"]}}},
        slots=True,
        prompting="bare",
        evidence_characters=1_200,
        report={"exact": 0.98},
    )
    write_manifest(folder, spec)
    assert read_adapter(folder) == spec
    assert [path.name for path in folder.glob(f".{MANIFEST}*")] == []


def test_other_weights_under_the_same_manifest_are_refused(tmp_path: Path) -> None:
    folder = lora_folder(tmp_path / "voice", seed=1)
    write_manifest(folder, read_adapter(folder))
    lora_folder(folder, seed=2)
    with pytest.raises(Refused, match="another training") as caught:
        read_adapter(folder)
    assert caught.value.backend == "adapters"


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"peft_type": "IA3"}, "only LORA is served"),
        ({"r": 0}, "rank r = 0"),
        ({"r": -4}, "rank r = -4"),
        ({"r": True}, "rank r = True"),
        ({"r": "8"}, "rank r = '8'"),
        ({"r": 8}, "of rank 4 and 4 for"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 2}}, "alpha_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"base_model_name_or_path": None}, "base: is missing"),
    ],
)
def test_what_is_not_a_plain_lora_of_one_rank_is_refused(
    tmp_path: Path, config: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Refused) as caught:
        read_adapter(lora_folder(tmp_path / "voice", **config))
    assert complaint in caught.value.problem
    assert caught.value.hint
    assert caught.value.backend == "adapters"


def test_matrices_of_one_model_are_read(tmp_path: Path) -> None:
    sizes = {
        "layers.0.self_attn.q_proj": (32, 16),
        "layers.0.self_attn.o_proj": (16, 32),
        "layers.0.mlp.gate_proj": (48, 16),
        "layers.0.mlp.down_proj": (16, 48),
        "layers.1.mlp.up_proj": (64, 16),
        "layers.1.mlp.down_proj": (16, 64),
        "layers.1.mlp.experts.3.down_proj": (16, 8),
    }
    lora = read_lora(lora_folder(tmp_path / "voice", sizes=sizes))
    assert lora.sizes == {f"base_model.model.model.{name}": size for name, size in sizes.items()}


@pytest.mark.parametrize(
    ("module", "size"),
    [
        ("layers.0.self_attn.k_proj", (16, 50)),
        ("layers.3.self_attn.o_proj", (50, 16)),
        ("layers.0.mlp.down_proj", (50, 48)),
        ("layers.0.mlp.down_proj", (16, 50)),
        ("layers.0.mlp.up_proj", (50, 16)),
    ],
)
def test_matrices_that_no_one_model_has_are_refused(
    tmp_path: Path, module: str, size: tuple[int, int]
) -> None:
    sizes = {"layers.0.self_attn.q_proj": (16, 16), "layers.0.mlp.gate_proj": (48, 16)}
    with pytest.raises(Refused, match="no model has beside one another") as caught:
        read_adapter(lora_folder(tmp_path / "voice", sizes={**sizes, module: size}))
    assert module in caught.value.problem
    assert re.search(r"\b50\b", caught.value.problem)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        (CONFIG, None, "no such file"),
        (CONFIG, b"", "is not JSON"),
        (CONFIG, b"[1]", "no JSON object"),
        (CONFIG, b'{"r": NaN}', "is not JSON"),
        (CONFIG, b"[" * 100_000, "is not JSON"),
        (CONFIG, b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "nested deeper"),
        (CONFIG, b'{"a": "\\ud800"}', "is not JSON"),
        (CONFIG, b" " * 1_100_000, "larger than"),
        (WEIGHTS, None, "no such file"),
        (WEIGHTS, b"", "not a safetensors file"),
        (WEIGHTS, b"PK\x03\x04 a zip with a pickle in it", "not a safetensors file"),
        (WEIGHTS, struct.pack("<Q", 4) + b"nope", "header that is not JSON"),
        (WEIGHTS, struct.pack("<Q", 2) + b"[]", "header that is no object"),
        (WEIGHTS, struct.pack("<Q", 2) + b"{}", "holds no tensor"),
    ],
)
def test_missing_and_damaged_files_are_refused(
    tmp_path: Path, file: str, content: bytes | None, complaint: str
) -> None:
    folder = lora_folder(tmp_path / "voice")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(Refused) as caught:
        read_adapter(folder)
    assert complaint in caught.value.problem
    assert caught.value.hint


def test_weights_cut_anywhere_are_refused(tmp_path: Path) -> None:
    folder = lora_folder(tmp_path / "voice")
    whole = (folder / WEIGHTS).read_bytes()
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        (folder / WEIGHTS).write_bytes(whole[:length])
        with pytest.raises(Refused):
            read_adapter(folder)
    (folder / WEIGHTS).write_bytes(whole + b"\0")
    with pytest.raises(Refused, match="its header says"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"model.embed_tokens.weight": (4, 16)}, "not a LoRA's"),
        ({"m.lora_A.weight": (4, 16)}, "only one of the two"),
        ({"m.lora_A.weight": (4, 16), "m.lora_B.weight": (16, 2)}, "rank 4 and 2"),
        ({"m.lora_A.weight": (4, 16, 1), "m.lora_B.weight": (16, 4)}, "wrongly"),
    ],
)
def test_tensors_that_no_lora_has_are_refused(
    tmp_path: Path, tensors: dict[str, tuple[int, ...]], complaint: str
) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    folder = lora_folder(tmp_path / "voice")
    zeros = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
    save_file(zeros, folder / WEIGHTS)
    with pytest.raises(Refused) as caught:
        read_adapter(folder)
    assert complaint in caught.value.problem


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"name": "Brand Voice"}, "name: "),
        ({"examples": "one"}, "examples: expected at most"),
        ({"examples": [" "]}, "examples: one of them is empty"),
        ({"examples": [1]}, "examples: expected a text"),
        ({"sampling": {"heat": 1}}, "sampling: heat: unknown key"),
        ({"sampling": {"temperature": 9}}, "sampling: temperature: expected"),
        ({"schema": "object"}, "schema: expected an object"),
        ({"schema": {"enum": ["x" * 70_000]}}, "schema: has"),
        ({"schema": {}, "grammar": "root ::= 'a'"}, "grammar: there is a schema already"),
        ({"system_prompt": "a\0b"}, "system_prompt: holds a character"),
        ({"report": {"note": "a\0b"}}, "report: holds a character"),
        ({"slots": "yes"}, "slots: expected true or false"),
        ({"prompting": "loud"}, "prompting: expected"),
        ({"evidence_characters": 0}, "evidence_characters: expected"),
        ({"base_hash": "abc"}, "base_hash: expected sha256"),
        ({"rank": 16}, "rank = 16"),
    ],
)
def test_a_manifest_with_unknown_keys_or_wrong_values_is_refused(
    tmp_path: Path, said: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Refused) as caught:
        read_adapter(manifest(lora_folder(tmp_path / "voice"), said))
    assert complaint in caught.value.problem
    assert caught.value.hint


def test_every_problem_of_a_manifest_is_told_at_once(tmp_path: Path) -> None:
    folder = manifest(lora_folder(tmp_path / "voice"), {"slots": 1, "colour": 2, "examples": 3})
    with pytest.raises(Refused) as caught:
        read_adapter(folder)
    assert all(key in caught.value.problem for key in ("slots", "colour", "examples"))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not a folder"):
        read_adapter(tmp_path / "nowhere")


def test_the_hash_of_a_model_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    with pytest.raises(Refused, match="holds no model"):
        model_hash(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = model_hash(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    assert model_hash(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert model_hash(tmp_path) != first
