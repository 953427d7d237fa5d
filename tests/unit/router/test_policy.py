"""Two probabilities become a route, a margin and a reason; a policy survives being written down."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy import Costs, Decision, InvalidPolicy, Policy, Route
from router.probe import SUPPORT, Probe

probabilities = st.floats(0, 1)
policies = st.builds(
    Policy,
    version=st.integers(1, 10_000),
    heads=st.text("0123456789abcdef", max_size=16),
    facts_threshold=probabilities,
    manner_threshold=probabilities,
    uncertain_band=probabilities,
    uncertain_route=st.sampled_from([None, *Route]),
    evidence_min_support=st.floats(0, 1),
    probe=st.builds(Probe, weight=st.floats(0, 2), centre=st.floats(-5, 5)),
)


@pytest.mark.parametrize(
    ("facts", "manner", "route"),
    [
        (0.9, 0.1, Route.FACTUAL),
        (0.1, 0.9, Route.BEHAVIOURAL),
        (0.9, 0.9, Route.HYBRID),
        (0.1, 0.1, Route.BEHAVIOURAL),
    ],
)
def test_the_route_follows_from_both_needs(facts: float, manner: float, route: Route) -> None:
    assert Policy().decide(facts, manner).route is route


def test_a_probability_at_its_threshold_counts_as_a_need() -> None:
    assert Policy(facts_threshold=0.7).decide(0.7, 0.0).route is Route.FACTUAL


def test_the_margin_is_the_way_to_the_nearest_other_route() -> None:
    assert Policy().decide(0.97, 0.4).margin == pytest.approx(0.1)


def test_manner_does_not_narrow_the_margin_where_it_changes_nothing() -> None:
    assert Policy().decide(0.1, 0.5).margin == pytest.approx(0.4)


@given(policies, probabilities, probabilities)
def test_no_step_shorter_than_the_margin_changes_the_likelier_route(
    policy: Policy, facts: float, manner: float
) -> None:
    certain = Policy.from_json(json.dumps({**json.loads(policy.to_json()), "uncertain_band": 0.0}))
    decision = certain.decide(facts, manner)
    # Beyond what adding two floats near 1 rounds away.
    step = max(0.0, decision.margin * 0.999 - 1e-12)

    around = [(facts + step, manner), (facts - step, manner), (facts, manner + step)]
    inside = [(f, m) for f, m in around if 0 <= f <= 1 and 0 <= m <= 1]

    assert {certain.decide(f, m).route for f, m in inside} <= {decision.route}


def test_a_decision_near_a_boundary_is_uncertain() -> None:
    assert Policy(uncertain_band=0.1).decide(0.55, 0.0).uncertain


def test_a_decision_far_from_a_boundary_is_certain() -> None:
    assert not Policy(uncertain_band=0.1).decide(0.97, 0.06).uncertain


def test_an_uncertain_question_goes_the_uncertain_route() -> None:
    policy = Policy(uncertain_route=Route.HYBRID)

    assert policy.decide(0.55, 0.0).route is Route.HYBRID


def test_a_route_is_made_by_the_needs_unless_somebody_or_a_rule_decides_after_them() -> None:
    policy = Policy(uncertain_route=Route.HYBRID)
    made = policy.decide(0.9, 0.1)

    assert made.by_needs
    assert not policy.decide(0.55, 0.0).by_needs
    assert not policy.judged(made, needs_facts=True, needs_manner=False).by_needs
    assert not policy.forced(Route.FACTUAL, made).by_needs


def test_without_an_uncertain_route_the_likelier_one_is_kept() -> None:
    assert Policy().decide(0.55, 0.0).route is Route.FACTUAL


def test_the_reason_is_in_plain_words() -> None:
    assert Policy().decide(0.97, 0.06).reason == (
        "asks for something a document would hold: facts .97; no tone or format asked: manner .06"
    )


def test_the_reason_of_an_uncertain_decision_says_so() -> None:
    reason = Policy(uncertain_route=Route.HYBRID).decide(0.55, 0.0).reason

    assert reason.endswith("uncertain by a margin of .05, and uncertain questions go to hybrid")


def test_a_decision_names_its_policy() -> None:
    assert Policy(version=12).decide(0.9, 0.1).policy == "policy-12"


LOOKS = Policy(probe=Probe(weight=1.0, centre=-1.0))


def test_documents_that_hold_the_answer_speak_for_facts() -> None:
    decision = LOOKS.decide(0.45, 0.1, features={SUPPORT: 0.9})

    assert decision.route is Route.FACTUAL
    assert decision.needs_facts == pytest.approx(0.952, abs=0.001)
    assert not decision.uncertain
    assert "a look into the documents, whose support is .90, facts were .45" in decision.reason


def test_documents_that_hold_nothing_like_it_speak_against_facts() -> None:
    assert LOOKS.decide(0.55, 0.1, features={SUPPORT: 0.02}).route is Route.BEHAVIOURAL


@given(st.floats(0, 1), st.floats(0, 1))
def test_support_at_the_centre_changes_nothing(facts: float, weight: float) -> None:
    at_the_centre = 1 / (1 + math.exp(1))

    assert Probe(weight, centre=-1.0).moved(facts, at_the_centre) == pytest.approx(facts, abs=1e-5)


@given(st.builds(Probe, st.floats(0, 2), st.floats(-5, 5)), probabilities, probabilities)
def test_more_support_never_makes_facts_less_needed(
    probe: Probe, facts: float, support: float
) -> None:
    assert 0 <= probe.moved(facts, support) <= probe.moved(facts, 1.0) <= 1


def test_support_that_was_recorded_changes_no_sure_decision() -> None:
    assert LOOKS.decide(0.97, 0.1, features={SUPPORT: 0.02}).needs_facts == 0.97


def test_doubt_about_manner_alone_is_no_reason_to_look_into_the_documents() -> None:
    assert LOOKS.decide(0.97, 0.5).uncertain
    assert not LOOKS.probes(0.97)


def test_a_probe_without_weight_never_looks() -> None:
    policy = Policy(probe=Probe(weight=0.0))

    assert not policy.probes(0.5)
    assert policy.rules.endswith("no probe")


def _uncertain() -> Decision:
    return Policy().decide(0.55, 0.1, features={"asks": 1.0})


def test_a_judge_decides_the_route() -> None:
    judged = Policy().judged(_uncertain(), needs_facts=True, needs_manner=True)

    assert (judged.route, judged.decided_by) == (Route.HYBRID, "judge")


def test_the_caller_decides_the_route() -> None:
    forced = Policy().forced(Route.BEHAVIOURAL, _uncertain())

    assert (forced.route, forced.decided_by) == (Route.BEHAVIOURAL, "caller")


def test_what_the_classifier_said_outlives_being_overruled() -> None:
    decision = _uncertain()
    forced = Policy().forced(Route.HYBRID, decision)

    assert (forced.needs_facts, forced.needs_manner, forced.features) == (
        decision.needs_facts,
        decision.needs_manner,
        decision.features,
    )


def test_hybrid_falls_back_to_factual_by_default() -> None:
    assert Policy().fallbacks == {
        Route.HYBRID: Route.FACTUAL,
        Route.BEHAVIOURAL: None,
        Route.FACTUAL: None,
    }


def test_costs_give_the_threshold_of_least_expected_cost() -> None:
    costs = Costs(missed_facts=3.0, needless_facts=1.0)
    threshold = costs.facts_threshold

    assume, do_not = (1 - threshold) * costs.needless_facts, threshold * costs.missed_facts
    assert assume == pytest.approx(do_not)


def test_a_policy_file_with_costs_and_no_thresholds_gets_those_of_least_cost() -> None:
    policy = Policy.from_json('{"costs": {"missed_facts": 3, "needless_manner": 4}}')

    assert (policy.facts_threshold, policy.manner_threshold) == (0.25, 0.8)


def test_costs_of_one_need_leave_the_threshold_of_the_other_to_the_file() -> None:
    policy = Policy.from_json('{"costs": {"missed_facts": 3}, "manner_threshold": 0.6}')

    assert (policy.facts_threshold, policy.manner_threshold) == (0.25, 0.6)


def test_a_threshold_that_was_rounded_does_not_contradict_its_costs() -> None:
    policy = Policy.from_json('{"costs": {"missed_facts": 2}, "facts_threshold": 0.3333}')

    assert policy.facts_threshold == 0.3333


def test_a_threshold_that_is_not_the_one_of_the_costs_is_refused_with_both_values() -> None:
    text = '{"costs": {"missed_facts": 3}, "facts_threshold": 0.5, "colour": 1}'
    with pytest.raises(InvalidPolicy) as refused:
        Policy.from_json(text)

    assert "colour: unknown key" in str(refused.value)
    assert (
        "facts_threshold: it is 0.5, but the costs (missed_facts 3, needless_facts 1) make it 0.25;"
        " leave facts_threshold out to take 0.25, or leave the two costs out to keep 0.5"
    ) in str(refused.value)


def test_a_policy_with_costs_and_no_thresholds_takes_those_of_least_cost() -> None:
    policy = Policy(costs=Costs(missed_facts=3), manner_threshold=0.6)

    assert (policy.facts_threshold, policy.manner_threshold) == (0.25, 0.6)
    assert Policy.from_json(policy.to_json()) == policy


@pytest.mark.parametrize("wrong", [-0.1, 1.5, math.nan, math.inf, True])
@pytest.mark.parametrize(
    "name", ["facts_threshold", "manner_threshold", "uncertain_band", "evidence_min_support"]
)
def test_no_policy_can_be_made_with_what_is_no_probability(name: str, wrong: float) -> None:
    values: dict[str, Any] = {name: wrong}
    with pytest.raises(InvalidPolicy, match=f"^{name}: expected a probability from 0 to 1, got"):
        Policy(**values)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, False])
@pytest.mark.parametrize(
    "name", ["missed_facts", "needless_facts", "missed_manner", "needless_manner"]
)
def test_no_costs_can_be_made_that_are_not_above_zero(name: str, wrong: float) -> None:
    with pytest.raises(InvalidPolicy, match=f"^{name}: expected a number above 0"):
        Costs(**{name: wrong})


def test_no_policy_can_be_made_whose_costs_and_thresholds_contradict_each_other() -> None:
    with pytest.raises(InvalidPolicy, match=r"manner_threshold: it is 0\.5.* make it 0\.2"):
        Policy(costs=Costs(missed_manner=4.0), manner_threshold=0.5)


def test_the_rules_of_a_policy_name_the_costs_that_made_them() -> None:
    assert Policy.from_json('{"costs": {"missed_facts": 3}}').rules == (
        "facts from .25 (missed 3, needless 1), manner from .50, uncertain within .15, "
        "probe weight 0.1"
    )


@given(policies)
def test_a_policy_that_was_written_down_reads_back_the_same(policy: Policy) -> None:
    assert Policy.from_json(policy.to_json()) == policy


def test_keys_left_out_keep_their_defaults() -> None:
    assert Policy.from_json('{"version": 3}') == Policy(version=3)


def test_fallbacks_left_out_keep_their_defaults() -> None:
    policy = Policy.from_json('{"fallbacks": {"factual": "behavioural"}}')

    assert policy.fallbacks == {
        Route.HYBRID: Route.FACTUAL,
        Route.BEHAVIOURAL: None,
        Route.FACTUAL: Route.BEHAVIOURAL,
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"costs": ' * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"colour": 1}', "colour: unknown key"),
        ('{"facts_threshold": 1.5}', "facts_threshold: expected a probability"),
        ('{"facts_threshold": true}', "facts_threshold: expected a probability"),
        ('{"manner_threshold": NaN}', "manner_threshold: expected a probability"),
        ('{"version": 0}', "version: expected a whole number"),
        ('{"heads": 7}', "heads: expected a string"),
        ('{"uncertain_route": "both"}', "uncertain_route: expected one of factual"),
        ('{"costs": {"missed_facts": 0}}', "costs.missed_facts: expected a number above 0"),
        ('{"costs": {"tea": 1}}', "costs.tea: unknown key"),
        ('{"probe": {"weight": -1}}', "probe.weight: expected a weight from 0 to 2"),
        ('{"probe": {"centre": 7}}', "probe.centre: expected a logit from -5 to 5"),
        ('{"probe": {"tea": 1}}', "probe.tea: unknown key"),
        ('{"probe": 0}', "probe: expected an object"),
        ('{"fallbacks": {"hybrid": "hybrid"}}', "fallbacks: hybrid cannot fall back to itself"),
        ('{"fallbacks": []}', "fallbacks: expected an object"),
    ],
)
def test_an_unusable_policy_is_refused_by_key(text: str, complaint: str) -> None:
    with pytest.raises(InvalidPolicy, match=complaint):
        Policy.from_json(text)


def test_all_wrong_keys_are_named_at_once() -> None:
    with pytest.raises(InvalidPolicy) as refused:
        Policy.from_json(
            '{"colour": 1, "version": 0, "uncertain_band": 2, "probe": {"weight": 9},'
            ' "costs": {"tea": 1, "missed_facts": 0, "missed_manner": "dear"}}'
        )

    wrong = [problem.split(": ")[0] for problem in str(refused.value).split("; ")]
    assert wrong == [
        "colour",
        "version",
        "uncertain_band",
        "probe.weight",
        "costs.tea",
        "costs.missed_facts",
        "costs.missed_manner",
    ]
