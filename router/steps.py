"""The steps of the main path: each takes the state, does one thing, returns what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from agents.base import Cited, Reply, Task, Token, ToolCalled
from agents.condense_model import rewrite
from agents.errors import AgentError, named_by_caller
from agents.evidence import abstention, reformulated, words_to_find
from backends.errors import BackendError, Refused
from router.answer import Answer, Decided, Event, EvidenceFound, Finished
from router.errors import DeadlineExceeded, router_error, translated
from router.insisted import as_asked
from router.messages import from_langchain, to_langchain
from router.policy import Decision, Route
from router.probe import SUPPORT
from router.request import Request, read_request
from router.speaker import other_speaker, spoken_by, with_speaker
from router.state import Parts, Run, State
from router.tracing import names
from router.tracing.steps import Trace, decision_attributes, evidence_attributes, step_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from langchain_core.messages import BaseMessage
    from opentelemetry.trace import Span

    from agents.base import AgentEvent

NAMES: Final = (
    "condense",
    "classify",
    "probe",
    "escalate",
    "retrieve",
    "reformulate",
    "abstain",
    "behavioural",
    "factual",
    "hybrid",
    "fall_back",
    "done",
)
"""Every step, in the order of the main path."""

MAX_SEARCHES: Final = 2
"""The question as asked, and one reformulation."""

MAX_QUESTION: Final = 8_000
"""Characters of the standalone question, half from its beginning, half from its end. What decides
and what is searched for stands there; the model that answers gets the whole conversation."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

Emit = Callable[[Event], None]
Update = dict[str, Any]


class Steps:
    """The steps, bound to the parts that they work with. Safe to use for many questions at once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def start(self, request: Request, *, traceparent: Mapping[str, str] | None = None) -> Run:
        """Begin a question: its trace and its deadline."""
        trace = Trace(self._parts.tracing, traceparent=traceparent)
        trace.asked(request.conversation)
        deadline = asyncio.get_running_loop().time() + self._parts.request_timeout_s
        return Run(request, trace, deadline)

    async def run(
        self,
        name: str,
        state: Mapping[str, Any],
        emit: Emit,
        *,
        configured: Mapping[str, Any] = _NOTHING,
    ) -> Update:
        """Run one step under its span, its share of the clock and the request's deadline.

        Args:
            name: One of `NAMES`.
            state: What the steps before it left.
            emit: Takes events as they happen.
            configured: ``principal``, ``route``, ``adapter`` and ``where`` from a surrounding
                graph's config.

        Raises:
            RouterError: What the step could not mend; `DeadlineExceeded` when the whole request
                has taken longer than it may.
        """
        if "run" not in state:
            state = {**state, "run": self.start(_request_of(state, configured))}
        run: Run = state["run"]
        began = perf_counter()
        limit = asyncio.timeout_at(run.deadline)
        try:
            with step_span(self._parts.tracing, name, run.trace.context) as span, translated():
                async with limit:
                    update = await getattr(self, f"_{name}")(cast("State", state), emit, span)
        except TimeoutError as error:
            late = self._late(name) if limit.expired() else error
            run.trace.failed(late)
            raise late from error
        except BaseException as error:
            run.trace.failed(error)
            raise
        if name == NAMES[-1]:
            run.trace.end()
        timings = dict(state.get("timings", {}))
        timings[name] = timings.get(name, 0.0) + (perf_counter() - began) * 1000
        return {"run": run, "timings": timings, **update}

    async def decide(self, run: Run) -> Decision:
        """Decide and stop there."""
        state: dict[str, Any] = {"run": run}
        for name in ("condense", "classify"):
            state |= await self.run(name, state, _unheard)
        if state["must_probe"]:
            state |= await self.run("probe", state, _unheard)
        if state["must_escalate"]:
            state |= await self.run("escalate", state, _unheard)
        decision: Decision = state["decision"]
        return decision

    async def _condense(self, state: State, emit: Emit, span: Span) -> Update:
        request = state["run"].request
        limit_s = self._parts.condense_timeout_s
        rewritten = await rewrite(request.asked, self._parts.condenser, timeout_s=limit_s)
        span.set_attribute(names.CONDENSED_BY, rewritten.by)
        if rewritten.failure is not None:
            span.set_attribute(names.ERROR_TYPE, type(rewritten.failure).__qualname__)
            span.set_attribute(names.CONDENSE_FAILURE, str(rewritten.failure))
        found = rewritten.condensed
        task = Task(
            question=shortened(found.question),
            conversation=request.conversation,
            principals=request.principals,
            adapter=request.adapter,
            sampling=request.sampling,
            schema=request.schema,
            extra=request.extra,
            where=request.where,
            carried=found.carried,
        )
        return {"task": task}

    async def _classify(self, state: State, emit: Emit, span: Span) -> Update:
        scores = await self._parts.classifier.classify(state["task"].question)
        decision = self._parts.policy.decide(
            scores.needs_facts, scores.needs_manner, features=scores.features, words=scores.words
        )
        return await self._made(state, decision, emit, span, may_probe=True)

    async def _probe(self, state: State, emit: Emit, span: Span) -> Update:
        finder, policy, decision = self._parts.evidence, self._parts.policy, state["decision"]
        assert finder is not None, "only existing documents are looked into"
        found: Update = {}
        try:
            async with asyncio.timeout(self._parts.probe_timeout_s):
                evidence = await finder.find(
                    state["task"], hybrid=decision.needs_manner >= policy.manner_threshold
                )
        except (BackendError, TimeoutError) as error:
            # The classifier's decision stands; a probe is a help, not a requirement.
            span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
        else:
            found = {"probed": evidence}
            span.set_attributes(evidence_attributes(evidence))
            if evidence.passages:
                # Nothing at all says what the asker may see, not what the question needs.
                decision = policy.decide(
                    decision.needs_facts,
                    decision.needs_manner,
                    features={**decision.features, SUPPORT: evidence.support},
                    words=decision.words,
                )
        return found | await self._made(state, decision, emit, span, may_probe=False)

    async def _escalate(self, state: State, emit: Emit, span: Span) -> Update:
        judge, decision = self._parts.judge, state["decision"]
        assert judge is not None, "only an existing judge is escalated to"
        try:
            async with asyncio.timeout(self._parts.judge_timeout_s):
                verdict = await judge.verdict(state["task"].question)
        except (BackendError, TimeoutError) as error:
            # The classifier's decision stands; a judge is a help, not a requirement.
            span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
        else:
            judged = self._parts.policy.judged(decision, verdict.needs_facts, verdict.needs_manner)
            decision = as_asked(self._parts.policy, state["run"].request, judged)
        return await self._announced(state, decision, emit, span)

    async def _retrieve(self, state: State, emit: Emit, span: Span) -> Update:
        hybrid = state["route"] is Route.HYBRID
        assert self._parts.evidence is not None, "who answers has documents"
        task, query, evidence = state["task"], state.get("query"), state.get("probed")
        words = query or words_to_find(task, hybrid=hybrid)
        probed = evidence is not None and evidence.query == words
        if evidence is None or not probed:
            evidence = await self._parts.evidence.find(task, hybrid=hybrid, query=query)
        searches = state.get("searches", 0) + 1
        span.set_attributes(evidence_attributes(evidence))
        span.set_attributes({names.ATTEMPT: searches, names.EVIDENCE_PROBED: probed})
        emit(EvidenceFound(evidence))
        other_words = reformulated(evidence.query) != evidence.query
        asked_by_somebody = bool(task.principals)
        return {
            "evidence": evidence,
            "searches": searches,
            "may_use_tools": state["run"].request.offers_tools,
            "may_reformulate": searches < MAX_SEARCHES and other_words and asked_by_somebody,
        }

    async def _reformulate(self, state: State, emit: Emit, span: Span) -> Update:
        return {"query": reformulated(state["evidence"].query)}

    async def _abstain(self, state: State, emit: Emit, span: Span) -> Update:
        reply = abstention(state["task"], state["evidence"])
        emit(Token(reply.text))
        return {"reply": reply}

    async def _behavioural(self, state: State, emit: Emit, span: Span) -> Update:
        return await self._answer(Route.BEHAVIOURAL, state, emit)

    async def _factual(self, state: State, emit: Emit, span: Span) -> Update:
        return await self._answer(Route.FACTUAL, state, emit)

    async def _hybrid(self, state: State, emit: Emit, span: Span) -> Update:
        return await self._answer(Route.HYBRID, state, emit)

    async def _answer(self, route: Route, state: State, emit: Emit) -> Update:
        """Let the agent speak; before its first token a failure may still lead elsewhere."""
        task, heard = state["task"], _Heard(state["run"], emit)
        try:
            try:
                await self._listen(route, task, state, heard)
            except Refused as error:
                if heard.first_token_ms is not None:
                    raise
                named = state["run"].request.adapter
                task = await other_speaker(self._parts.chooser, error, task, named)
                await self._listen(route, task, state, heard)
        except (AgentError, BackendError) as error:
            fallback = self._parts.policy.fallbacks.get(route)
            too_late = heard.first_token_ms is not None or "degraded" in state
            request = state["run"].request
            wanted = task.schema is not None or request.wants_tools
            wanted = wanted or named_by_caller(error, request.adapter)
            if too_late or fallback is None or wanted:
                raise
            return {"failure": router_error(error)}
        assert heard.reply is not None, "an agent ends with a reply"
        return {
            "reply": heard.reply,
            "first_token_ms": heard.first_token_ms,
            "decision": spoken_by(state["decision"], task),
        }

    async def _listen(self, route: Route, task: Task, state: State, heard: _Heard) -> None:
        events = self._parts.agents[route].answer(task, state.get("evidence"))
        async with aclosing(cast("AsyncGenerator[AgentEvent]", events)) as said:
            async for event in said:
                heard.hear(event)

    async def _fall_back(self, state: State, emit: Emit, span: Span) -> Update:
        failed = state["route"]
        route = self._parts.policy.fallbacks[failed]
        assert route is not None, "the agent's step has looked"
        degraded = (
            f"A {failed} answer was not possible, so this is a {route} one. "
            f"{state['failure'].public}"
        )
        span.set_attribute(names.DEGRADED, degraded)
        task = replace(state["task"], model_failed=True)
        return {"route": route, "degraded": degraded, "task": task}

    async def _done(self, state: State, emit: Emit, span: Span) -> Update:
        run, reply = state["run"], state["reply"]
        timings = {**state["timings"], "total": run.trace.elapsed_ms()}
        if (first_token := state.get("first_token_ms")) is not None:
            timings["first_token"] = first_token
        answer = Answer(
            text=reply.text,
            decision=state["decision"],
            citations=reply.citations,
            evidence=state.get("evidence"),
            usage=reply.usage,
            timings_ms=timings,
            degraded=_joined(state.get("degraded"), reply.degraded),
            abstained=reply.abstained,
            standalone_question=state["task"].question,
            model=reply.model,
            finish_reason=reply.finish_reason,
            trace_id=run.trace.id,
            tool_calls=reply.tool_calls,
        )
        run.trace.answered(answer)
        emit(Finished(answer))
        return {"answer": answer, "messages": [to_langchain(answer)]}

    def _may_escalate(self, request: Request) -> bool:
        judge = self._parts.judge
        # Two routers that are each other's judge would ask one another without end.
        return judge is not None and not (judge.hands_on and request.for_judge)

    def _late(self, step: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The question took longer than {self._parts.request_timeout_s:g} s, "
            f"in the step {step!r}. Raise timeouts.request if that is expected."
        )

    async def _made(
        self, state: State, decision: Decision, emit: Emit, span: Span, *, may_probe: bool
    ) -> Update:
        """Hand on a decision, and who else has to be heard before it stands."""
        parts, run = self._parts, state["run"]
        decision = as_asked(parts.policy, run.request, decision)
        doubtful = decision.uncertain and decision.decided_by == "classifier"
        documents = parts.evidence is not None and bool(state["task"].principals)
        probing = may_probe and documents and doubtful and parts.policy.probes(decision.needs_facts)
        escalating = not probing and doubtful and self._may_escalate(run.request)
        still = {"must_probe": probing, "must_escalate": escalating}
        if not (probing or escalating):
            return still | await self._announced(state, decision, emit, span)
        span.set_attributes(decision_attributes(decision))
        return still | {"decision": decision, "route": decision.route}

    async def _announced(self, state: State, decision: Decision, emit: Emit, span: Span) -> Update:
        """Say who speaks, and let a decision that stands be known."""
        run = state["run"]
        spoken = await with_speaker(
            self._parts.chooser, decision, state["task"], run.request.adapter
        )
        decision = spoken.decision
        span.set_attributes(decision_attributes(decision))
        if spoken.stale:
            span.set_attribute(names.ADAPTERS_STALE, spoken.stale)
        run.trace.decided(decision)
        emit(Decided(decision, run.trace.id))
        return {"decision": decision, "route": decision.route, "task": spoken.task}


class _Heard:
    """What an agent has said so far; all but its reply goes on at once."""

    def __init__(self, run: Run, emit: Emit) -> None:
        self._run = run
        self._emit = emit
        self.reply: Reply | None = None
        self.first_token_ms: float | None = None

    def hear(self, event: AgentEvent) -> None:
        match event:
            case Reply():
                self.reply = event
            case Token() | Cited() | ToolCalled():
                self.first_token_ms = self.first_token_ms or self._run.trace.elapsed_ms()
                self._emit(event)


def _request_of(state: Mapping[str, Any], configured: Mapping[str, Any]) -> Request:
    """Read what a surrounding graph hands in: a question, or LangChain messages."""
    messages: list[BaseMessage] = state.get("messages") or []
    question = state.get("question")
    return read_request(
        question if question is not None else from_langchain(messages),
        principal=state.get("principal", configured.get("principal")),
        route=configured.get("route"),
        adapter=configured.get("adapter"),
        where=configured.get("where"),
    )


def shortened(question: str) -> str:
    """Return a question of at most about `MAX_QUESTION` characters, its middle left out."""
    if len(question) <= MAX_QUESTION:
        return question
    half = MAX_QUESTION // 2
    return f"{question[:half]}\n…\n{question[-half:]}"


def _joined(*notes: str | None) -> str | None:
    return " ".join(note for note in notes if note) or None


def _unheard(event: Event) -> None:
    """For those who only want to know the decision."""
