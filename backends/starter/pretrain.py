"""Trains the starter model from scratch and its adapters; needs the extra ``finetune``.

    python -m backends.starter.pretrain base --questions FOLDER --minutes 20
    python -m backends.starter.pretrain adapter tone --questions FOLDER --minutes 4

Both write into the artefact folder; `backends.starter.card` writes the card from what they leave
in ``training.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from backends.starter import STARTER
from backends.starter.batches import train_tokenizer
from backends.starter.chat import END, PAD, TEMPLATE
from backends.starter.corpus import Corpus, read_corpus
from backends.starter.folder import ARTEFACT, starter_folder
from backends.starter.rows import BASE, compose
from backends.starter.sizes import (
    ANSWER_TOKENS,
    CONTEXT,
    EVIDENCE_CHARACTERS,
    RANK,
    SHAPE,
    TARGETS,
    VOCABULARY,
)
from backends.starter.skills import SKILLS
from backends.starter.training import CHUNK, Plan, Progress, describe, train

if TYPE_CHECKING:
    from backends.starter.exchange import Exchange

TOKENIZER_ROWS: Final = 30_000

_CUT: Final[Mapping[str, float]] = MappingProxyType({BASE: 0.03, "attributes": 0.15})
"""By what is trained: share of words that are read in two parts. Colours have slips in them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module."""
    chosen = _parser().parse_args(arguments)
    corpus = read_corpus(chosen.questions)
    chosen.artefact.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        steps=chosen.steps,
        minutes=chosen.minutes,
        rate=chosen.rate,
        tokens=chosen.tokens,
        seed=chosen.seed,
        asked_weight=0.1 if chosen.what == "base" else 0.0,
        cut=_CUT.get(getattr(chosen, "name", BASE), 0.0),
    )
    job = Job(corpus, plan, chosen.artefact, chosen.work, chosen.resume, chosen.further)
    if chosen.what == "base":
        _train_base(job)
    else:
        _train_adapter(chosen.name, job)


@dataclass(frozen=True, slots=True)
class Job:
    """What to train on, how, and where.

    Attributes:
        corpus: Natural sentences.
        plan: How to train.
        artefact: What is read and written.
        work: Where checkpoints go.
        resume: Go on from the last checkpoint.
        further: Start from the weights that the artefact holds.
    """

    corpus: Corpus
    plan: Plan
    artefact: Path
    work: Path
    resume: bool = False
    further: bool = False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backends.starter.pretrain")
    commands = parser.add_subparsers(dest="what", required=True)
    base = commands.add_parser("base", help="the model itself, from scratch")
    adapter = commands.add_parser("adapter", help="a LoRA adapter for it")
    adapter.add_argument("name", choices=tuple(SKILLS))
    for command, rate in ((base, 3e-3), (adapter, 2e-3)):
        command.add_argument("--questions", type=Path, required=True, help="folder of JSON lines")
        command.add_argument("--artefact", type=Path, default=ARTEFACT)
        command.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
        command.add_argument("--minutes", type=float, default=math.inf)
        command.add_argument("--steps", type=int, default=100_000)
        command.add_argument("--tokens", type=int, default=6144, help="tokens of a batch")
        command.add_argument("--rate", type=float, default=rate)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--resume", action="store_true", help="from the last checkpoint")
        command.add_argument("--further", action="store_true", help="from what the artefact holds")
    return parser


def _train_base(job: Job) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    artefact = job.artefact
    path = artefact / "tokenizer.json"
    if not job.further and not (job.resume and path.exists()):
        rows = list(itertools.islice(compose(BASE, job.corpus, seed=job.plan.seed), TOKENIZER_ROWS))
        train_tokenizer(rows, job.corpus.wishes, VOCABULARY).save(str(path))
    tokenizer = Tokenizer.from_file(str(path))
    torch.manual_seed(job.plan.seed)
    ends, pads = tokenizer.token_to_id(END), tokenizer.token_to_id(PAD)
    config = LlamaConfig(
        **SHAPE, bos_token_id=None, eos_token_id=ends, pad_token_id=pads, dtype="float32"
    )
    if job.further:
        with tempfile.TemporaryDirectory() as cache:
            model = LlamaForCausalLM.from_pretrained(starter_folder(Path(cache), artefact))
    else:
        model = LlamaForCausalLM(config)
    ended = train(
        model,
        _rows(BASE, job.corpus, job.plan.seed),
        tokenizer,
        job.plan,
        checkpoint=job.work / "base.pt",
        resume=job.resume,
        told=_tell,
    )
    _write_base(model, artefact)
    _note(BASE, job, ended)


def _write_base(model: Any, artefact: Path) -> None:
    from backends.starter.weights import quantised, write_weights

    weights = {
        name: value.detach().numpy()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    write_weights(artefact / "model.safetensors", quantised(weights))
    model.config.architectures = ["LlamaForCausalLM"]
    (artefact / "config.json").write_text(model.config.to_json_string(), encoding="utf-8")
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    path = artefact / "tokenizer_config.json"
    path.write_text(json.dumps(tokenizer_config, indent=2) + "\n", encoding="utf-8")


def _train_adapter(name: str, job: Job) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from backends.manifest import model_hash

    artefact = job.artefact
    adapter = artefact / "adapters" / name
    torch.manual_seed(job.plan.seed)
    with tempfile.TemporaryDirectory() as cache:
        folder = starter_folder(Path(cache), artefact)
        model = LlamaForCausalLM.from_pretrained(folder)
        hash_of_base = model_hash(folder)
    lora = LoraConfig(
        r=RANK,
        lora_alpha=2 * RANK,
        lora_dropout=0.0,
        target_modules=list(TARGETS),
        task_type="CAUSAL_LM",
        base_model_name_or_path=STARTER,
    )
    if job.further:
        model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    else:
        model = get_peft_model(model, lora)
    ended = train(
        model,
        _rows(name, job.corpus, job.plan.seed),
        Tokenizer.from_file(str(artefact / "tokenizer.json")),
        job.plan,
        checkpoint=job.work / f"{name}.pt",
        resume=job.resume,
        told=_tell,
    )
    # PEFT has put the folder there that the base was read from.
    model.peft_config["default"].base_model_name_or_path = STARTER
    model.save_pretrained(adapter, save_embedding_layers=False)
    (adapter / "README.md").unlink(missing_ok=True)
    _write_manifest(adapter, name, hash_of_base)
    _note(name, job, ended)


def _write_manifest(folder: Path, name: str, hash_of_base: str) -> None:
    from backends.generation import Sampling
    from backends.manifest import read_adapter, write_manifest

    skill = SKILLS[name]
    (folder / "adapter.json").unlink(missing_ok=True)
    spec = replace(
        read_adapter(folder, name=name, base=STARTER),
        base_hash=hash_of_base,
        description=skill.description,
        examples=skill.examples,
        system_prompt=skill.system_prompt,
        sampling=Sampling(max_tokens=ANSWER_TOKENS, temperature=0.0),
        schema=skill.schema,
        slots=skill.slots,
        prompting="bare",
        evidence_characters=EVIDENCE_CHARACTERS,
    )
    write_manifest(folder, spec)


def _rows(name: str, corpus: Corpus, seed: int) -> Callable[[int], Sequence[Exchange]]:
    def chunk(number: int) -> Sequence[Exchange]:
        rows = compose(name, corpus, seed=seed * 100_000 + number)
        return list(itertools.islice(rows, CHUNK))

    return chunk


def _note(name: str, job: Job, ended: Progress) -> None:
    """Put down how a training ended; one that went further stands behind those before it."""
    path = job.artefact / "training.json"
    notes = json.loads(path.read_text("utf-8")) if path.exists() else {}
    before = notes.get(name, []) if job.further else []
    run = {
        "seed": job.plan.seed,
        "steps": ended.step,
        "tokens": ended.tokens,
        "batch tokens": job.plan.tokens,
        "highest learning rate": job.plan.rate,
        "last loss": round(ended.loss, 4),
    }
    notes[name] = [*before, run]
    path.write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")


def _tell(progress: Progress) -> None:
    sys.stderr.write(describe(progress) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
