"""Data in, adapter out: check, train, measure, judge, register, promote."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backends.adapter_fields import check_spec
from backends.adapters import AdapterSpec, AdapterState
from backends.finetune.data import Findings, Rules, data_hash, examine
from backends.finetune.examples import Example
from backends.finetune.job import Job, Measured, Rival, longest_answer
from backends.finetune.process import Event, run_job
from backends.finetune.split import held_out
from backends.generation import Sampling
from router.errors import InvalidRequest
from router.finetune.bases import Base, find_base
from router.finetune.forms import Form, read_form
from router.finetune.general import general_prompts
from router.finetune.order import STARTER
from router.finetune.rows import rows_of, spec_of
from router.promotion import check_name
from router.tuning.gate import Side, Verdict, judge

if TYPE_CHECKING:
    from backends.adapters import Adapter, AdapterRegistry
    from router.config import Settings
    from router.finetune.order import Order

    OpenRegistry: TypeAlias = Callable[[], AbstractAsyncContextManager[AdapterRegistry]]

ADAPTERS: Final = "adapters"
REPORT: Final = "report.json"

_QUESTIONS: Final = 48
_QUESTION: Final = 500
"""Characters; what is longer is a text with a question around it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An order whose data has been read.

    Attributes:
        made: What RAFT and the teacher did to it, for the report; empty without them.
    """

    order: Order
    base: Base
    form: Form
    system: str
    findings: Findings
    made: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """A trained adapter, registered as a candidate.

    Attributes:
        verdict: What the gate said.
        adapter: As the registry keeps it.
        before: The live version that it was compared with; None where it was the bare base.
    """

    verdict: Verdict
    adapter: Adapter
    before: Adapter | None
    report: Mapping[str, Any]


async def check(order: Order, settings: Settings, told: Callable[[Event], None]) -> Checked:
    """Read and check the data; nothing is trained.

    Raises:
        InvalidRequest: A file of the order cannot be read.
        BackendError: The base cannot be opened, or what makes the rows failed.
    """
    form, system = read_form(order.schema), order.instructions()
    base = await find_base(order.base, settings.home, told)
    # What no registry would keep is better refused before the training than after it.
    check_spec(replace(spec_of(order, base), schema=form.schema), where="The adapter")
    check_name(order.name, base.name)
    _check_servable(order, base)
    rows = await rows_of(order, settings, form, base, told)
    # RAFT's instructions hold the passages; what is the same for all is what the order says.
    alike = order.raft is None
    rules = Rules(base.context, base.count_tokens, form.fits, base.control, one_system=alike)
    findings = examine(rows.path, rules, test=order.test, system=system if alike else "")
    shared = system or (_common(findings.examples) if alike else "")
    return Checked(order, base, form, shared, findings, rows.made)


def _check_servable(order: Order, base: Base) -> None:
    """What the process that ships could not serve is better refused before the training."""
    from backends.genai import MAX_RANK

    if base.name == STARTER and order.recipe.rank > MAX_RANK:
        raise InvalidRequest(
            f"The starter is served in this process with adapters of rank {MAX_RANK} at most, and "
            f"--rank says {order.recipe.rank}.",
            field="rank",
        )
    if order.out is not None and order.out.exists() and not order.out.is_dir():
        raise InvalidRequest(f"{order.out} is not a folder.", field="out")


async def make(
    checked: Checked, settings: Settings, opened: OpenRegistry, told: Callable[[Event], None]
) -> Made:
    """Train, measure and judge; the adapter is registered as a candidate whatever the verdict.

    Args:
        opened: Opens the registry; it stays closed while training takes its time.

    Raises:
        BackendError: Training failed, or the registry cannot be reached; what was trained stays.
    """
    async with opened() as registry:
        live = await _live(registry, checked.order.name)
    job = _job(checked, settings, live)
    measured = await run_job(job, told)
    verdict = judge(
        [_side(one) for one in measured.answers],
        measured.general,
        schema=checked.form.schema is not None,
        fits=checked.form.fits,
    )
    report = _report(checked, job, measured, verdict, live)
    (job.out / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    spec = _spec(checked, job, report)
    from backends.manifest import write_manifest

    write_manifest(job.out, spec)
    async with opened() as registry:
        adapter = await registry.add(spec)
        # The same weights again are the same version, with what was measured last.
        adapter = await registry.record(adapter.spec.name, adapter.version, report)
    return Made(verdict, adapter, None if measured.against_base else live, report)


async def _live(registry: AdapterRegistry, name: str) -> Adapter | None:
    found = await registry.find(name)
    return found if found is not None and found.state is AdapterState.LIVE else None


def _job(checked: Checked, settings: Settings, live: Adapter | None) -> Job:
    order, base, findings = checked.order, checked.base, checked.findings
    training: Sequence[Example] = findings.examples
    measuring: Sequence[Example] = findings.test
    if not measuring:
        training, measuring = held_out(training, order.recipe.seed)
    stamp = order.recipe.fingerprint(data_hash([*training, *measuring]), base.hash)
    out = order.out or settings.home / ADAPTERS / order.name / stamp
    general = general_prompts()
    return Job(
        base=base.folder,
        base_name=base.name,
        out=out.resolve(),
        stamp=stamp,
        recipe=order.recipe,
        training=tuple(training),
        measuring=tuple(measuring),
        rehearsing=general.rehearsed,
        general=general.measured,
        rival=_rival(live, base),
        resume=order.resume,
        mlflow=order.mlflow,
        max_tokens=longest_answer(measuring, base.context // 2),
    )


def _rival(live: Adapter | None, base: Base) -> Rival | None:
    """The live version speaks on the base that it was trained from, if that is still here."""
    if live is None:
        return None
    if live.spec.base_hash in ("", base.hash):
        return Rival(live.spec.folder, base.folder)
    from backends.manifest import model_hash

    kept = (live.spec.report or {}).get("training", {}).get("base_folder", "")
    folder = Path(kept)
    if kept and folder.is_dir() and model_hash(folder) == live.spec.base_hash:
        return Rival(live.spec.folder, folder)
    return None


def _side(one: Any) -> Side:
    return Side(one.reference, one.candidate, one.rival, one.candidate_ended, one.rival_ended)


def _report(
    checked: Checked, job: Job, measured: Measured, verdict: Verdict, live: Adapter | None
) -> Mapping[str, Any]:
    against = f"the base {checked.base.name}"
    if live is not None and measured.against_base:
        against += f" ({live.served_as} is for another base, which is not here)"
    elif live is not None:
        against = live.served_as
    return {
        "gate": {**verdict.as_json(), "against": against},
        "training": {
            **measured.trained,
            "base_folder": str(job.base),
            "rows": len(job.training),
            "rehearsed": measured.rehearsed,
            "recipe": {name: getattr(job.recipe, name) for name in job.recipe.__slots__},
        },
        "data": {**checked.findings.as_json(), "problems": len(checked.findings.problems)},
        **checked.made,
    }


def _spec(checked: Checked, job: Job, report: Mapping[str, Any]) -> AdapterSpec:
    from backends.manifest import read_adapter

    planned = spec_of(checked.order, checked.base)
    written = read_adapter(job.out, name=checked.order.name, base=job.base_name)
    return replace(
        written,
        base_hash=checked.base.hash,
        description=planned.description,
        examples=_questions(job.training),
        system_prompt=checked.system,
        # As the gate has heard it.
        sampling=Sampling(temperature=0.0),
        schema=checked.form.schema,
        prompting=planned.prompting,
        evidence_characters=planned.evidence_characters,
        report=report,
    )


def _questions(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return what rows ask, evenly from all of them: what the adapter is chosen by.

    Passages behind a question are no part of it.
    """
    step = max(1, len(examples) // _QUESTIONS)
    asked = (row.prompt[-1].content.partition("\n\n[1] ")[0] for row in examples[::step])
    return tuple(dict.fromkeys(one for one in asked if len(one) <= _QUESTION))[:_QUESTIONS]


def _common(examples: Sequence[Example]) -> str:
    """Return the instructions that all rows share, else ""."""
    found = {one.prompt[0].content if one.prompt[0].role == "system" else "" for one in examples}
    return found.pop() if len(found) == 1 else ""
