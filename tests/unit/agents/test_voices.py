"""Adapters answer as they were trained, and answers hold what they must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.base import Agent, AgentEvent, Cited, Evidence, Reply, Task, Token
from agents.behavioural import BehaviouralAgent
from agents.errors import BrokenFormat, LostFacts, UnusableSchema
from agents.hybrid import HybridAgent
from agents.voicing import own_text, points_in
from backends.adapters import Adapter, AdapterSpec, AdapterState
from backends.base import DocumentId, Message, Passage, PassageId, ScoredPassage
from backends.generation import GenerationChunk, GenerationRequest, Sampling
from backends.memory.generator import Script, ScriptedGenerator
from backends.principals import parse_principals
from backends.slots import Slots

SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"colour": {"enum": ["beige", "pink"]}},
    "required": ["colour"],
}
TEXT = (
    "The policy covers every shop. Customers may return boots within 45 days of delivery. "
    "A return by parcel costs €3.50."
)
SPEC = AdapterSpec(
    name="brand-voice",
    base="starter",
    folder=Path("brand-voice"),
    weights_hash="sha256:0",
    rank=8,
    system_prompt="You are the shop.",
    sampling=Sampling(max_tokens=200, temperature=0.0, stop=("<|end|>",)),
)
BARE = replace(SPEC, prompting="bare", slots=True, evidence_characters=600)


def _task(question: str, spec: AdapterSpec | None = None, **fields: Any) -> Task:
    adapter = None
    if spec is not None:
        adapter = Adapter(spec, 3, AdapterState.LIVE, datetime(2026, 1, 1, tzinfo=UTC))
    fields.setdefault("conversation", (Message("user", question),))
    return Task(
        question=question,
        principals=parse_principals("everyone"),
        adapter=adapter.served_as if adapter else None,
        registered=adapter,
        **fields,
    )


def _evidence(query: str = "days to return boots", text: str = TEXT) -> Evidence:
    passage = Passage(
        id=PassageId("p"),
        document_id=DocumentId("d"),
        title="Returns",
        source="returns.md",
        version=1,
        ordinal=0,
        start=1_000,
        end=1_000 + len(text),
        text=text,
    )
    hit = ScoredPassage(passage, score=1.0, similarity=0.9, lexical=3.0)
    return Evidence(query, (hit,), sufficient=True, support=0.9)


def _model(*answers: Script | str) -> ScriptedGenerator:
    """Says one answer after the other; the last one again and again."""
    left = list(answers)

    def rule(request: GenerationRequest) -> Script | str:
        return left.pop(0) if len(left) > 1 else left[0]

    return ScriptedGenerator(rule, adapters=["brand-voice@3"])


async def _heard(agent: Agent, task: Task, evidence: Evidence | None = None) -> list[AgentEvent]:
    return [event async for event in agent.answer(task, evidence)]


async def _reply(agent: Agent, task: Task, evidence: Evidence | None = None) -> Reply:
    events = await _heard(agent, task, evidence)
    reply = events[-1]
    assert isinstance(reply, Reply)
    assert "".join(event.text for event in events if isinstance(event, Token)) == reply.text
    return reply


def _said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in messages]


# --- how an adapter is asked ---------------------------------------------------------------------


async def test_the_adapters_prompt_stands_in_front_of_the_callers() -> None:
    model = _model("Hello!")
    turns = (Message("system", "Be kind."), Message("user", "Hi"))
    await _reply(BehaviouralAgent(model), _task("Hi", SPEC, conversation=turns))
    assert _said(model.requests[0].messages) == [
        ("system", "You are the shop.\n\nBe kind."),
        ("user", "Hi"),
    ]


@pytest.mark.parametrize(
    ("prompt", "read"), [("You are the shop.", "You are the shop."), ("", "Be kind.")]
)
async def test_an_adapter_with_bare_prompting_reads_no_system_prompt_beside_its_own(
    prompt: str, read: str
) -> None:
    model = _model("Hello!")
    turns = (Message("system", "Be kind."), Message("user", "Hi"))
    spec = replace(SPEC, prompting="bare", system_prompt=prompt)
    await _reply(BehaviouralAgent(model), _task("Hi", spec, conversation=turns))
    assert _said(model.requests[0].messages) == [("system", read), ("user", "Hi")]


async def test_what_the_caller_says_about_choosing_words_goes_before_the_adapters_habit() -> None:
    model = _model("Hello!")
    await _reply(BehaviouralAgent(model), _task("Hi", SPEC, sampling=Sampling(max_tokens=9)))
    assert model.requests[0].sampling == Sampling(max_tokens=9, temperature=0.0, stop=("<|end|>",))


async def test_the_adapters_schema_holds_unless_the_caller_brings_a_format() -> None:
    spec = replace(SPEC, schema=SCHEMA)
    theirs = {"type": "object"}
    model = _model('{"colour": "beige"}')
    agent = BehaviouralAgent(model)
    await _reply(agent, _task("champagne", spec))
    await _reply(agent, _task("champagne", spec, schema=theirs))
    await _reply(agent, _task("champagne", spec, extra={"response_format": {"type": "text"}}))
    assert [request.schema for request in model.requests] == [SCHEMA, theirs, None]


async def test_a_grammar_goes_along_where_no_schema_does() -> None:
    spec = replace(SPEC, grammar='root ::= "yes" | "no"')
    model = _model("yes")
    await _reply(BehaviouralAgent(model), _task("Well?", spec))
    await _reply(BehaviouralAgent(_model("{}")), _task("Well?", spec, schema={"type": "object"}))
    assert model.requests[0].grammar == 'root ::= "yes" | "no"'


# --- slots ---------------------------------------------------------------------------------------


async def test_a_model_with_slots_sees_no_fact_and_says_every_one() -> None:
    spec = replace(SPEC, slots=True)
    model = _model("Dear <p1>, please wait <n1> days, until <d1>.")
    asked = "Make it warmer: “We told Tom Reed to wait 14 days, until 3 May.”"
    reply = await _reply(BehaviouralAgent(model), _task(asked, spec))
    assert reply.text == "Dear Tom Reed, please wait 14 days, until 3 May."
    assert reply.degraded is None
    sent = model.requests[0].messages
    assert sent[0].content == "You are the shop."
    assert sent[1].content == "Make it warmer: “We told <p1> to wait <n1> days, until <d1>.”"


async def test_what_a_rewriting_leaves_out_or_makes_up_is_told_or_left_out() -> None:
    spec = replace(SPEC, slots=True)
    model = _model("Please wait until <d1>, or <n7> more.")
    asked = "In 20 words, warmer: “Please wait for 14 days, until 3 May.”"
    reply = await _reply(BehaviouralAgent(model), _task(asked, spec))
    assert reply.text == "Please wait until 3 May, or  more."
    assert reply.degraded == (
        "The answer leaves out what the text says: “14”. "
        "The answer has a gap: the model wanted to state what nobody had told it."
    )


@pytest.mark.parametrize(
    ("turn", "text"),
    [
        ("Warmer, in 20 words: “Your parcel is late by 3 days.”", "Your parcel is late by 3 days."),
        ("Make it formal: we meet at 9 on Monday", "we meet at 9 on Monday"),
        ("Shorter please\nWe meet at 9 on Monday", "We meet at 9 on Monday"),
        ("Write a haiku of 17 syllables", ""),
        ("Hello, I am Tom", ""),
    ],
)
def test_the_text_that_a_turn_brings_along_is_told_from_its_wish(turn: str, text: str) -> None:
    assert own_text(turn) == text


def test_how_many_points_an_answer_shall_have_is_read_from_the_wish() -> None:
    assert points_in("Explain it in three cheerful bullet points.") == 3
    assert points_in("Give me 4 tips") == 4
    assert points_in("Explain three rules in a letter") == 1


# --- forms ---------------------------------------------------------------------------------------


async def test_an_answer_under_a_schema_comes_once_it_is_known_to_satisfy_it() -> None:
    model = _model("It is beige, I think.", '{"colour": "beige"}')
    events = await _heard(BehaviouralAgent(model), _task("champagne", schema=SCHEMA))
    assert [event.text for event in events if isinstance(event, Token)] == ['{"colour": "beige"}']
    reply = events[-1]
    assert isinstance(reply, Reply)
    assert (len(model.requests), reply.usage.output_tokens) == (2, 5 + 2)


async def test_two_broken_answers_are_an_error_and_nothing_was_said() -> None:
    model = _model('{"colour": "champagne"}')
    answer = BehaviouralAgent(model).answer(_task("champagne", schema=SCHEMA), None)
    with pytest.raises(BrokenFormat, match="at colour"):
        await anext(answer)
    assert len(model.requests) == 2


async def test_a_second_attempt_asks_for_other_words() -> None:
    model = _model("", "Hello!")
    asked = Sampling(temperature=0.0, seed=7)
    reply = await _reply(BehaviouralAgent(model), _task("Hi", sampling=asked))
    assert reply.text == "Hello!"
    first, second = (request.sampling for request in model.requests)
    assert (first.temperature, first.seed) == (0.0, 7)
    assert (second.temperature, second.seed) == (0.7, 8)


async def test_an_empty_answer_twice_is_an_error() -> None:
    with pytest.raises(BrokenFormat, match="nothing"):
        await _reply(BehaviouralAgent(_model(" ")), _task("Hi"))


async def test_an_answer_cut_by_the_callers_own_limit_is_not_held_to_its_schema() -> None:
    model = _model(Script(text='{"colour": "be', finish_reason="length"))
    reply = await _reply(BehaviouralAgent(model), _task("champagne", schema=SCHEMA))
    assert (reply.text, reply.finish_reason) == ('{"colour": "be', "length")


async def test_endless_json_is_an_error_and_the_model_is_told_to_stop() -> None:
    model = _model('{"colour": "' + "very " * 2_000)
    with pytest.raises(BrokenFormat, match="repeated itself"):
        await _reply(BehaviouralAgent(model), _task("champagne", schema=SCHEMA))
    assert model.abandoned.is_set()


async def test_an_endless_answer_is_cut_and_says_so() -> None:
    model = _model("and on and on " * 1_000)
    reply = await _reply(BehaviouralAgent(model), _task("Tell me"))
    assert len(reply.text) < 2_000
    assert reply.finish_reason == "length"
    assert reply.degraded == "The answer was cut because the model repeated itself."


async def test_a_schema_that_is_none_is_refused_before_anybody_is_asked() -> None:
    model = _model("{}")
    with pytest.raises(UnusableSchema):
        await _reply(BehaviouralAgent(model), _task("champagne", schema={"type": "nonsense"}))
    assert model.requests == []


# --- facts ---------------------------------------------------------------------------------------


async def test_a_bare_adapter_reads_the_wish_and_numbered_sentences() -> None:
    model = _model("You have <n1> days to return boots [1].")
    wish = "Write a friendly reply about returning boots."
    turns = (Message("system", "Be kind."), Message("user", wish))
    await _reply(HybridAgent(model), _task(wish, BARE, conversation=turns), _evidence())
    assert _said(model.requests[0].messages) == [
        ("system", "You are the shop."),
        (
            "user",
            "Write a friendly reply about returning boots.\n\n"
            "[1] Customers may return boots within <n1> days of delivery.",
        ),
    ]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("hey 🙂 see you ❤️!", "hey see you!"),
        ("1️⃣ your\u00a0Oak™ par\u00adcel\u200b is late", "1 your Oak parcel is late"),
        ("cafe\u0301 and mu\u0308sli", "café and müsli"),
    ],
)
async def test_a_model_that_reads_slots_reads_what_can_be_typed(typed: str, read: str) -> None:
    model = _model("Hello!")
    slots = Slots()
    turns = (Message("user", f'Make this formal: "{typed}"'),)
    await _reply(BehaviouralAgent(model), _task("?", BARE, conversation=turns))
    seen = model.requests[0].messages[-1].content
    assert seen == slots.hide(f'Make this formal: "{read}"')


async def test_a_bare_answer_is_cited_from_the_whole_passage() -> None:
    model = _model("Good news! Customers may return boots within <n1> days of delivery [1]. Enjoy!")
    events = await _heard(HybridAgent(model), _task("How long, warmly?", BARE), _evidence())
    reply = events[-1]
    assert isinstance(reply, Reply)
    assert reply.text.startswith("Good news! Customers may return boots within 45 days")
    (citation,) = reply.citations
    assert citation.quote == "Customers may return boots within 45 days of delivery"
    assert TEXT[citation.start - 1_000 : citation.end - 1_000] == citation.quote
    assert citation.passage == TEXT
    assert sum(isinstance(event, Cited) for event in events) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "You can return your boots any time, dear customer.",
        "Customers may return boots of delivery [1].",
        "Customers may return boots within <n9> days of delivery [1].",
    ],
)
async def test_a_bare_answer_that_lost_the_fact_is_not_shown_nor_asked_for_again(
    answer: str,
) -> None:
    model = _model(answer)
    with pytest.raises(LostFacts):
        await anext(HybridAgent(model).answer(_task("How long?", BARE), _evidence()))
    assert len(model.requests) == 1


async def test_a_bare_answer_that_strays_from_its_line_says_what_the_line_says() -> None:
    model = _model("Good news! Customers may return pots within 30 days of delivery [1]. Enjoy!")
    events = await _heard(HybridAgent(model), _task("How long?", BARE), _evidence())
    reply = events[-1]
    assert isinstance(reply, Reply)
    assert (
        reply.text == "Good news! Customers may return boots within 45 days of delivery [1]. Enjoy!"
    )
    assert reply.degraded is None


async def test_a_small_model_without_an_adapter_words_no_facts() -> None:
    model = _model("Well, hello.")
    with pytest.raises(LostFacts):
        await _reply(HybridAgent(model, plain=False), _task("How long?"), _evidence())
    assert model.requests == []


async def test_an_invented_number_is_taken_out_of_any_hybrid_answer() -> None:
    model = _model("Customers may return boots within 45 days [1]. Gloves have 60 days. Bye!")
    reply = await _reply(HybridAgent(model), _task("Write a reply"), _evidence())
    assert reply.text == "Customers may return boots within 45 days [1]. Bye!"
    assert reply.degraded is not None
    assert "“60”" in reply.degraded


async def test_what_the_user_says_is_no_invention() -> None:
    model = _model(
        "Dear Ms Weber, thank you for order AB-77. Customers return boots within 45 days [1]."
    )
    wish = "Reply to Ms Weber about order AB-77."
    reply = await _reply(HybridAgent(model), _task(wish), _evidence())
    assert (reply.degraded, len(reply.citations)) == (None, 1)


async def test_a_long_passage_is_read_in_sentences_and_cited_whole() -> None:
    long = f"{'The weather was fine that day in the hills. ' * 40}{TEXT}"
    model = _model("Customers may return boots within 45 days of delivery [1].")
    agent = HybridAgent(model, characters=300)
    reply = await _reply(agent, _task("Write a reply"), _evidence(text=long))
    sent = model.requests[0].messages[0].content
    assert "Customers may return boots within 45 days of delivery." in sent
    assert len(sent) < 2_500
    assert reply.citations[0].passage == long


async def test_an_answer_under_a_schema_tells_of_facts_that_nobody_states() -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}}
    agent = HybridAgent(_model('{"days": 60}'))
    reply = await _reply(agent, _task("As JSON", schema=schema), _evidence())
    assert reply.degraded == "The documents do not state: “60”."


class _Unfinished(ScriptedGenerator):
    """Says a sentence, begins the next one, and never goes on."""

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        yield GenerationChunk("Customers may return boots within 45 days [1].")
        yield GenerationChunk(" And")
        await asyncio.Event().wait()


async def test_the_first_sentence_is_seen_while_the_second_is_written() -> None:
    answer = HybridAgent(_Unfinished()).answer(_task("Write a reply"), _evidence())
    said = ""
    async with asyncio.timeout(5), aclosing(answer) as events:
        async for event in events:
            said += event.text if isinstance(event, Token) else ""
            if said.startswith("Customers may return boots within 45 days [1]."):
                break
    assert "And" not in said
