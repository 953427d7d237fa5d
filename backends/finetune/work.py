"""One job in the training process: rehearse, train, and let both sides speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from backends.base import Message
from backends.finetune.bases import check_quantisation
from backends.finetune.examples import Example
from backends.finetune.job import Answered, Job, Measured, asked
from backends.finetune.recipe import Trained
from backends.finetune.speak import BASE, Said, Speaker
from backends.finetune.train import Progress, Run, train_adapter, trained_before

Prompt: TypeAlias = Sequence[Message]

_CANDIDATE: Final = "candidate"
_RIVAL: Final = "rival"
_SMALL_TALK: Final = 64
"""Tokens of an answer to a general prompt; what comes later says nothing new."""


class Told(Protocol):
    """Is told how far a phase is."""

    def __call__(self, phase: str, done: int, of: int, loss: float | None = None) -> None: ...


class Stopping(Protocol):
    """Whether the process was asked to stop; while ``patient`` it only remembers it."""

    patient: bool
    asked: bool


def do(job: Job, told: Told, stop: Stopping) -> Measured:
    """Do it; training that is complete already is not repeated.

    Raises:
        Interrupted: It was asked to stop while it trained; a checkpoint was written.
        BackendError: As `train_adapter` and `Speaker`.
    """
    if job.recipe.quantised:
        # Before anything that takes long is even imported.
        check_quantisation()
    rehearsal = _rehearsal(job, told) if job.recipe.rehearsal > 0 else []
    run = Run(job.base, job.base_name, job.out, job.stamp, job.resume, job.mlflow)
    trained = trained_before(run)
    if trained is None:
        trained = _train([*job.training, *rehearsal], job, run, told, stop)
    return _measured(job, trained, len(rehearsal), told)


def _rehearsal(job: Job, told: Told) -> list[Example]:
    """What the base says in small talk, as rows to learn along."""
    wanted = round(job.recipe.rehearsal * len(job.training))
    prompts = [asked(prompt) for prompt in job.rehearsing[:wanted]]
    if not prompts:
        return []

    def after(done: int) -> None:
        told("rehearsing", done, len(prompts))

    said = Speaker(job.base, {}).answers(prompts, max_tokens=_SMALL_TALK, told=after)
    return [
        Example(prompt, one.text)
        for prompt, one in zip(prompts, said, strict=True)
        if one.ended and one.text.strip()
    ]


def _train(examples: Sequence[Example], job: Job, run: Run, told: Told, stop: Stopping) -> Trained:
    def after(progress: Progress) -> None:
        told("training", progress.step, progress.steps, progress.metrics.get("loss"))

    stop.patient = True
    try:
        return train_adapter(examples, job.recipe, run, told=after, stopping=lambda: stop.asked)
    finally:
        stop.patient = False


def _measured(job: Job, trained: Trained, rehearsed: int, told: Told) -> Measured:
    rival = job.rival
    together = rival is not None and rival.base == job.base
    adapters = {_CANDIDATE: job.out, **({_RIVAL: rival.folder} if rival and together else {})}
    speaker = Speaker(job.base, adapters)
    counted = _Counted(told, 2 * len(job.measuring) + len(job.general))
    prompts = [row.prompt for row in job.measuring]
    ours = counted.answers(speaker, prompts, _CANDIDATE, job.max_tokens)
    other = speaker
    if rival is not None and not together:
        other = Speaker(rival.base, {_RIVAL: rival.folder})
    theirs = counted.answers(other, prompts, _RIVAL if rival else BASE, job.max_tokens)
    return Measured(
        trained=trained.as_json(),
        rehearsed=rehearsed,
        answers=tuple(
            Answered(row.answer, mine.text, mine.ended, his.text, his.ended)
            for row, mine, his in zip(job.measuring, ours, theirs, strict=True)
        ),
        general=_general(speaker, job, counted),
        against_base=rival is None,
    )


def _general(speaker: Speaker, job: Job, counted: _Counted) -> tuple[tuple[float, float], ...]:
    prompts = [asked(prompt) for prompt in job.general]
    own = counted.answers(speaker, prompts, BASE, _SMALL_TALK)
    before = speaker.surprise(prompts, own)
    after = speaker.surprise(prompts, own, adapter=_CANDIDATE)
    return tuple(zip(before, after, strict=True))


class _Counted:
    """Counts answers over several askings."""

    def __init__(self, told: Told, total: int) -> None:
        self._told, self._total, self._done = told, total, 0

    def answers(
        self, speaker: Speaker, prompts: Sequence[Prompt], adapter: str, limit: int
    ) -> list[Said]:
        before = self._done

        def after(count: int) -> None:
            self._done = before + count
            self._told("measuring", self._done, self._total)

        return speaker.answers(prompts, adapter=adapter, max_tokens=limit, told=after)
