"""Measures the shipped starter model on what it was not trained on; needs the extra ``finetune``.

    python -m backends.starter.measure --questions FOLDER [--show 10]

Prints one JSON object: exact colours on the held-out phrasings, how many answers are JSON, how many
answers say exactly what is expected, how many keep every slot, each with the number of rows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backends.slots import slots_in
from backends.starter.colours import MASTER_COLOURS, held_out
from backends.starter.corpus import Corpus, read_corpus
from backends.starter.exchange import Exchange
from backends.starter.folder import ARTEFACT, adapter_folders, starter_folder
from backends.starter.rows import BASE, compose
from backends.starter.skills import SKILLS

UNSEEN_SEED: Final = -7
"""Of the rows that are measured on; no training uses a negative seed."""


class Speaker:
    """The starter model with one adapter or none; answers many questions at once, greedily."""

    def __init__(self, folder: Path, adapter: Path | None) -> None:
        from peft import PeftModel
        from transformers import AutoTokenizer, LlamaForCausalLM

        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        model: Any = LlamaForCausalLM.from_pretrained(folder)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        self._model = model.eval()

    def answers(self, rows: Sequence[Exchange], *, most: int = 300) -> list[str]:
        """Return an answer to each question, of ``most`` tokens at most."""
        said: dict[int, str] = {}
        order = sorted(range(len(rows)), key=lambda at: len(rows[at].user))
        for start in range(0, len(order), 32):
            group = order[start : start + 32]
            said.update(zip(group, self._say([rows[at] for at in group], most), strict=True))
        return [said[at] for at in range(len(rows))]

    def _say(self, rows: Sequence[Exchange], most: int) -> list[str]:
        import torch

        prompts = [
            self._tokenizer.apply_chat_template(
                row.messages()[:-1], tokenize=False, add_generation_prompt=True
            )
            for row in rows
        ]
        inputs = self._tokenizer(
            prompts, return_tensors="pt", padding=True, add_special_tokens=False,
            return_token_type_ids=False,
        )  # fmt: skip
        with torch.inference_mode():
            made = self._model.generate(**inputs, max_new_tokens=most, do_sample=False)
        new = made[:, inputs["input_ids"].shape[1] :]
        return [
            text.strip() for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)
        ]


def measure(
    folder: Path, artefact: Path, corpus: Corpus, *, count: int, show: int
) -> dict[str, Any]:
    """Return the figures of the base model and of each adapter that there is.

    Rows are made of sentences, messages and replies that training never saw.
    """
    unseen = corpus.for_measuring()
    found: dict[str, Any] = {}
    for name, adapter in ((BASE, None), *adapter_folders(artefact).items()):
        speaker = Speaker(folder, adapter)
        rows = list(itertools.islice(compose(name, unseen, seed=UNSEEN_SEED), count))
        answers = speaker.answers(rows)
        found[name] = _compared(rows, answers)
        _show(name, rows[:show], answers)
        if name == "attributes":
            found[name] |= _colours(speaker, show)
    return found


def _compared(rows: Sequence[Exchange], answers: Sequence[str]) -> dict[str, Any]:
    pairs = list(zip(rows, answers, strict=True))
    with_slots = [(row, text) for row, text in pairs if slots_in(row.assistant)]
    kept = sum(1 for row, text in with_slots if slots_in(row.assistant) <= slots_in(text))
    made_up = sum(1 for row, text in pairs if not slots_in(text) <= slots_in(row.user))
    wanted = sum(len(slots_in(row.assistant)) for row, _ in with_slots)
    there = sum(len(slots_in(row.assistant) & slots_in(text)) for row, text in with_slots)
    return {
        "rows": len(rows),
        "exactly as expected": _share(sum(row.assistant == text for row, text in pairs), len(rows)),
        "rows with slots": len(with_slots),
        "rows with every slot kept": _share(kept, len(with_slots)),
        "slots kept": _share(there, wanted),
        "rows with a slot made up": made_up,
    }


def _colours(speaker: Speaker, show: int) -> dict[str, Any]:
    expected = held_out()
    system = SKILLS["attributes"].system_prompt
    rows = [Exchange(phrase, "", system) for phrase in expected]
    answers = speaker.answers(rows, most=20)
    read = [_colour(text) for text in answers]
    right = sum(one == colour for one, colour in zip(read, expected.values(), strict=True))
    if show:
        for (phrase, colour), one in zip(expected.items(), read, strict=True):
            if one != colour:
                sys.stderr.write(f"  {phrase}: {one} instead of {colour}\n")
    return {
        "held-out phrasings": len(rows),
        "exact colour": _share(right, len(rows)),
        "valid JSON": _share(sum(one is not None for one in read), len(rows)),
    }


def _colour(text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or list(value) != ["colour"]:
        return None
    return str(value["colour"]) if value["colour"] in MASTER_COLOURS else None


def _show(name: str, rows: Sequence[Exchange], answers: Sequence[str]) -> None:
    for row, text in zip(rows, answers, strict=False):
        sys.stderr.write(f"\n{name} ({row.system})\n? {row.user}\n> {text}\n")
        if text != row.assistant:
            sys.stderr.write(f"! {row.assistant}\n")


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m backends.starter.measure")
    parser.add_argument("--questions", type=Path, required=True, help="folder of JSON lines")
    parser.add_argument("--artefact", type=Path, default=ARTEFACT)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--show", type=int, default=0, help="answers of each to print")
    chosen = parser.parse_args(arguments)
    corpus = read_corpus(chosen.questions)
    with tempfile.TemporaryDirectory() as cache:
        folder = starter_folder(Path(cache), chosen.artefact)
        found = measure(folder, chosen.artefact, corpus, count=chosen.count, show=chosen.show)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
