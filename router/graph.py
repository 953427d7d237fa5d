"""THE MAIN PATH. A question goes through these steps, along these edges.

    condense → classify → (probe) → (escalate) → behavioural | retrieve → factual | hybrid → done

The steps themselves are in `router.steps`; this is the only file that knows LangGraph.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypedDict

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.runtime import Runtime

from router import steps
from router.answer import Answer
from router.policy import Route
from router.state import Run, State
from router.steps import Steps

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    Graph: TypeAlias = CompiledStateGraph[Any, Any, Any, Any]

Node: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]


class Asked(TypedDict, total=False):
    """What goes in: a question or messages, and on whose behalf."""

    messages: Annotated[list[AnyMessage], add_messages]
    question: str
    principal: str
    run: Run


class Answered(TypedDict, total=False):
    """What comes out; the messages end with the answer, as a chat graph expects."""

    messages: Annotated[list[AnyMessage], add_messages]
    answer: Answer


class Channels(Asked, Answered, State, total=False):
    """Everything that travels between steps."""


def build_graph(of: Steps) -> Graph:
    """Compile the state machine. It keeps no state between questions and needs no checkpointer."""
    return _joined(partial(_node, of))


def mermaid() -> str:
    """Return the main path as Mermaid text; a picture needs no open parts."""

    def undrawn(name: str) -> Node:
        async def node(state: Channels) -> dict[str, Any]:
            raise AssertionError(f"{name} is only drawn")

        return node

    return _joined(undrawn).get_graph().draw_mermaid()


def _joined(node: Callable[[str], Node]) -> Graph:
    graph = StateGraph(Channels, input_schema=Asked, output_schema=Answered)
    for name in steps.NAMES:
        graph.add_node(name, node(name))

    graph.add_edge(START, "condense")
    graph.add_edge("condense", "classify")
    deciding = ["escalate", "behavioural", "retrieve"]
    graph.add_conditional_edges("classify", after_classify, ["probe", *deciding])
    graph.add_conditional_edges("probe", after_probe, deciding)
    graph.add_conditional_edges("escalate", by_route, ["behavioural", "retrieve"])
    graph.add_conditional_edges(
        "retrieve", after_retrieve, ["factual", "hybrid", "reformulate", "behavioural", "abstain"]
    )
    graph.add_edge("reformulate", "retrieve")
    for answering in ("behavioural", "factual", "hybrid"):
        graph.add_conditional_edges(answering, after_answer, ["fall_back", "done"])
    graph.add_conditional_edges(
        "fall_back", after_fall_back, ["behavioural", "factual", "hybrid", "retrieve"]
    )
    graph.add_edge("abstain", "done")
    graph.add_edge("done", END)
    return graph.compile(checkpointer=False, name="query_router")


def after_classify(state: State) -> str:
    """Doubt about facts looks into the documents, if there are any."""
    return "probe" if state.get("must_probe") else after_probe(state)


def after_probe(state: State) -> str:
    """A decision that is still uncertain goes to the judge, if there is one."""
    return "escalate" if state.get("must_escalate") else by_route(state)


def by_route(state: State) -> str:
    """Routes that need facts retrieve first."""
    return "behavioural" if state["route"] is Route.BEHAVIOURAL else "retrieve"


def after_retrieve(state: State) -> str:
    """Answer from enough evidence; search once more in other words; ask the tools; then say so."""
    if state["evidence"].sufficient:
        return state["route"].value
    if state["may_reformulate"]:
        return "reformulate"
    return "behavioural" if state["may_use_tools"] else "abstain"


def after_answer(state: State) -> str:
    """A backend that was down before the first token leads to the policy's fallback, once."""
    return "done" if "reply" in state else "fall_back"


def after_fall_back(state: State) -> str:
    """The route to fall back on answers from the evidence at hand, or retrieves first."""
    return state["route"].value if "evidence" in state else by_route(state)


def _node(of: Steps, name: str) -> Node:
    async def node(
        state: Channels, runtime: Runtime[None], config: RunnableConfig
    ) -> dict[str, Any]:
        configured = config.get("configurable") or {}
        return await of.run(name, state, runtime.stream_writer, configured=configured)

    return node
