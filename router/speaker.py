"""Who speaks: puts the chosen adapter into the decision and the task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends.errors import BackendError, Refused, Unavailable
from router.policy import Decision, Route

if TYPE_CHECKING:
    from agents.base import Task
    from agents.choosing import AdapterChooser


_FORM = "the adapter that was named answers in a form of its own"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A decision and a task that name who speaks.

    Attributes:
        stale: Empty, or why something newer may be live than what was chosen from.
    """

    decision: Decision
    task: Task
    stale: str = ""


async def with_speaker(
    chooser: AdapterChooser | None, decision: Decision, task: Task, named: str | None
) -> Spoken:
    """Choose who speaks, where a model does.

    Args:
        chooser: None where there is nothing to choose from.
        decision: With its route.
        task: The question.
        named: The adapter or model that the caller insists on. An adapter with a form of its own
            reads the question and no documents, unless the caller insists on the route as well.

    Raises:
        Refused: Nobody answers by that name.
    """
    if decision.route is Route.FACTUAL and named is None:
        return Spoken(decision, task)
    if chooser is None:
        if named is not None and decision.route is not Route.BEHAVIOURAL:
            raise _nobody(named)
        return Spoken(decision, task)
    chosen = await chooser.choose(task.question, named)
    if named is not None and decision.route is not Route.BEHAVIOURAL:
        if chosen.registered is None:
            # The documents may answer, or have no answer, without any model being asked.
            await chooser.check_name(named)
        if chosen.has_form and decision.decided_by != "caller":
            decision = decision.diverted_to(Route.BEHAVIOURAL, _FORM)
    # Facts are worded by a registered adapter that was named, and by nobody else.
    speaks = decision.route is not Route.FACTUAL or chosen.registered is not None
    task = replace(task, adapter=chosen.served_as, registered=chosen.registered)
    if speaks:
        reason = "; ".join(part for part in (decision.reason, chosen.reason) if part)
        decision = replace(decision, adapter=chosen.choice, reason=reason)
    return Spoken(decision, task, chosen.stale)


def spoken_by(decision: Decision, task: Task) -> Decision:
    """Return the decision with the version that spoke, if another took its place meanwhile."""
    choice, spoke = decision.adapter, task.registered
    if choice is None or spoke is None:
        return decision
    choice = replace(choice, name=spoke.spec.name, version=spoke.version)
    return replace(decision, adapter=choice)


async def other_speaker(
    chooser: AdapterChooser | None, error: BackendError, task: Task, named: str | None
) -> Task:
    """Return the task with whoever took the place of a version that its server no longer knows.

    Between an adapter's promotion and our next look at the registry, its predecessor is chosen.

    Raises:
        BackendError: The error itself, where it is about anything else.
        Refused: The caller's name is in the registry, and why it does not answer all the same.
        Unavailable: The very version that is live is not served.
    """
    gone = isinstance(error, Refused) and error.status == 404
    if chooser is None or not gone:
        raise error
    if task.registered is None and named is not None:
        absence = await chooser.live.absence(named)
        if absence is not None:
            raise absence from error
    if task.registered is None or named == task.adapter:
        raise error
    await chooser.live.refresh()
    chosen = await chooser.choose(task.question, named)
    if chosen.served_as == task.adapter:
        raise Unavailable(
            f"The adapter {task.adapter} is live, and the model server does not have it.",
            backend="model server",
            hint=f"Load it with: router adapters promote {task.adapter}",
        ) from error
    return replace(task, adapter=chosen.served_as, registered=chosen.registered)


def _nobody(named: str) -> Refused:
    return Refused(
        f"No model is connected that could answer as {named[:120]!r}.",
        backend="adapters",
        hint="Set ROUTER_VLLM_URL to the base URL of one, or leave the name out.",
        status=404,
    )
