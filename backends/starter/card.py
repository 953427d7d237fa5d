"""Writes the model card of the shipped starter model from its training and its measurement.

python -m backends.starter.card --questions FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from backends.starter.colours import PHRASES
from backends.starter.corpus import FILES, read_corpus
from backends.starter.folder import ARTEFACT, artefact_hash, starter_folder
from backends.starter.measure import measure
from backends.starter.skills import SKILLS
from backends.starter.written import MESSAGES, REPLIES, SHORTENED

ROWS: Final = 400
"""Rows of each skill that the card measures."""

_HEAD: Final = """\
# Starter model

A small Llama that this project trained from scratch. It makes the sample retailer's questions about
manner answerable on a laptop, and it is narrow on purpose: **outside its skills it says in one
sentence what it can do, and that ROUTER_VLLM_URL connects a larger model.**

By itself it answers greetings, thanks and other small talk. Three LoRA adapters give it a skill
each:

{skills}

## What it learnt from

Texts that `backends/starter` composes by rule from its own lists (`texts/`) and from sentences of
the questions in `router/tuning/examples`, and messages in seven manners, texts made shorter,
replies to lines of documents and colour phrases that were written one by one
(`texts/messages.jsonl`, `shortened.jsonl`, `replies.jsonl`, `colours.jsonl`). All of it is the
project's own; no weights of another model went into it. Composed sources are drawn at random
and their targets follow by rule, so it says sentences that it never saw in another manner; it knows
nothing about the world. Before it has an adapter it practises the skills under system prompts that
nobody types; with any other system prompt it declines them. It has also practised to tell texts
apart by what they are about, which no adapter here does, so that an adapter of your own learns from
a few hundred rows.

The first letter of a word is a token of its own, but for the 200 commonest words: a word that moves
to the front of a sentence, or from there into it, then changes in one token only.

Numbers, dates, names and codes are hidden in slots (`<n1>`, `<d1>`, `<p1>`, `<c1>`) by
`backends.slots`, in training as in answering.

Apart from training: `texts/colours_held_out.jsonl`, a twentieth of the sentences, messages and
replies, chosen by their hash, and everything else whose name says that it is held out.

## Limits

English only, but for colour words in German, French, Spanish and Dutch. One or two short
paragraphs. It changes words, courtesies and what is left out, and seldom how a sentence is built.
It does not judge whether evidence answers a question. Odd wishes within its skills can come out
odd.

## Licence

That of the project; everything it is made of is the project's own.
"""


def card(
    training: Mapping[str, Any], measured: Mapping[str, Any], facts: Mapping[str, object]
) -> str:
    """Return the card as Markdown."""
    skills = "\n".join(f"- `{name}`: {skill.description}" for name, skill in SKILLS.items())
    tables = (
        ("Sizes and hashes", facts),
        *(
            (f"Training of {name}, part {part}", run)
            for name, runs in training.items()
            for part, run in enumerate(runs, start=1)
        ),
        *(
            (f"Measured of {name}, on what it was not trained on", v)
            for name, v in measured.items()
        ),
    )
    return "\n".join((_HEAD.format(skills=skills), *(_table(name, rows) for name, rows in tables)))


def _table(title: str, rows: Mapping[str, object]) -> str:
    lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"## {title}\n\n| | |\n| --- | --- |\n{lines}\n"


def data_hash(questions: Path) -> str:
    """Return the SHA-256 of every text that rows are composed from, in hexadecimal."""
    digest = hashlib.sha256()
    texts = resources.files("backends.starter.texts")
    named = sorted(one.name for one in texts.iterdir() if one.name.endswith(".txt"))
    for name in (*named, PHRASES, MESSAGES, REPLIES, SHORTENED):
        digest.update(texts.joinpath(name).read_bytes())
    for name in FILES:
        digest.update((questions / f"{name}.jsonl").read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m backends.starter.card")
    parser.add_argument("--questions", type=Path, required=True, help="folder of JSON lines")
    parser.add_argument("--artefact", type=Path, default=ARTEFACT)
    chosen = parser.parse_args(arguments)
    artefact: Path = chosen.artefact
    corpus = read_corpus(chosen.questions)
    with tempfile.TemporaryDirectory() as cache:
        folder = starter_folder(Path(cache), artefact)
        measured = measure(folder, artefact, corpus, count=ROWS, show=0)
    config = json.loads((artefact / "config.json").read_text("utf-8"))
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "vocab_size", "max_position_embeddings")  # fmt: skip
    facts = {
        "parameters": _parameters(artefact),
        **{key: config[key] for key in keys},
        "bytes of the weights": (artefact / "model.safetensors").stat().st_size,
        "SHA-256 of the artefact": artefact_hash(artefact),
        "SHA-256 of the texts": data_hash(chosen.questions),
    }
    training = json.loads((artefact / "training.json").read_text("utf-8"))
    (artefact / "MODEL_CARD.md").write_text(card(training, measured, facts), encoding="utf-8")


def _parameters(artefact: Path) -> int:
    from safetensors.numpy import load_file

    from backends.starter.weights import dequantised

    weights = dequantised(load_file(artefact / "model.safetensors"))
    return sum(int(value.size) for value in weights.values())


if __name__ == "__main__":
    main()
