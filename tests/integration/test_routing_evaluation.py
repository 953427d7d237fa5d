"""Decisions measured through the production path, and everything that the command says of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from router.api import Router
from router.cli.boundary import run
from router.config import Settings
from router.errors import ConfigurationFault, InvalidRequest
from router.evaluation.labelled import LabelledQuestion, read_labelled
from router.evaluation.plot import check_plot, draw
from router.evaluation.routing import Decided, Flips, Written, decide_all
from router.evaluation.routing_baselines import Training, baseline_figures
from router.evaluation.routing_report import figures
from router.tuning.pairs import own_pairs
from router.tuning.rows import own_rows

TALK = [
    {"role": "user", "content": "How many days of paid leave do employees in Spain take?"},
    {"role": "assistant", "content": "22 days."},
    {"role": "user", "content": "And in France?"},
]
ROWS = [
    {"text": "How long may unworn boots be returned?", "label": "factual", "source": "shop"},
    {"messages": TALK, "label": "factual", "source": "shop"},
    {"text": "Write a limerick about Mondays", "label": "behavioural", "source": "play"},
    {"text": "Say hello like a pirate", "needs_facts": False, "needs_manner": True},
    {"text": "Put our return policy into a cheerful poem", "label": "hybrid", "source": "play"},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def file(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of rows, in a folder that has no public training rows beside it."""
    monkeypatch.setenv("ROUTER_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return path


async def test_a_question_is_decided_as_the_router_decides_it(
    file: Path, home: Path, database_url: str
) -> None:
    questions = read_labelled([file])
    phases: list[tuple[str, int, int]] = []

    decided = await decide_all(
        questions, Settings(home=home), lambda *one: phases.append(one), disturbed=True
    )

    # Who speaks is chosen where somebody answers, and the evaluation lets nobody answer.
    settings = Settings(home=home, database_url=SecretStr(database_url), starter=False)
    async with Router.open(settings) as router:
        routers = [await router.decide(question.conversation) for question in questions]
        spanish = [
            (
                pair,
                (await router.decide(pair.text)).route,
                (await router.decide(pair.variant)).route,
            )
            for pair in own_pairs()
            if pair.kind == "es"
        ]
    assert list(decided.decisions) == routers
    assert [one for one in phases if one[0] == "again"][-1] == ("again", 5, 5)
    assert decided.flips["prefix"].asked == 5
    pairs = own_pairs()
    assert [one for one in phases if one[0] == "written"][-1][1:] == (2 * len(pairs),) * 2
    counted = {kind: one.flips.asked for kind, one in decided.written.items()}
    assert counted == Counter(pair.kind for pair in pairs)
    assert decided.written["es"] == Written(
        Flips(len(spanish), sum(text is not variant for _, text, variant in spanish)),
        right_texts=sum(text is pair.route for pair, text, _ in spanish),
        right_variants=sum(variant is pair.route for pair, _, variant in spanish),
    )
    assert len(decided.ms) == 5
    assert decided.per_second > 0


def test_the_command_prints_one_object_or_a_table(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["eval", "routing", str(file), "--json", "--robustness"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert run(["eval", "routing", str(file), str(file), "--limit", "4"]) == 0
    table, remarks = capsys.readouterr()

    assert found.keys() == {
        *("n", "accuracy", "macro_f1", "macro_f1_ci", "per_class", "per_source", "confusion"),
        *("ece", "brier", "accuracy_at_coverage", "risk_coverage", "latency_ms"),
        *("throughput_per_s", "baselines", "flip_rate", "robustness"),
    }
    assert found["n"] == 5
    assert found["per_source"].keys() == {"shop", "play", "rows"}
    assert found["per_class"]["factual"].keys() == {"precision", "recall", "f1", "n"}
    assert sum(found["confusion"]["factual"].values()) == 2
    assert found["accuracy_at_coverage"].keys() == {"80", "90", "95"}
    assert found["risk_coverage"][-1] == [1.0, pytest.approx(1 - found["accuracy"])]
    assert found["baselines"].keys() == {"best_constant", "keyword_rules", "tfidf"}
    assert "there is no public" in found["baselines"]["tfidf"]["fitted_on"]
    assert "the project's own examples alone" in told.err
    kinds = {"paraphrase", "hidden", "de", "fr", "es", "steering"}
    assert {"typos", "casing", "punctuation", "prefix", *kinds} <= found["flip_rate"].keys()
    assert found["robustness"].keys() == kinds
    assert found["robustness"]["de"]["flip_rate"] == found["flip_rate"]["de"]
    assert table.startswith("4 questions")
    assert "\nthis router " in table
    assert "accuracy of the surest: 80 % " in table
    assert "TF-IDF is left out." in remarks


def test_the_surest_mistakes_are_listed_where_asked_for(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    long = "Write a limerick\n\x1b[31mabout Mondays" + " and Tuesdays" * 50
    rows = [{"text": long, "label": "factual", "source": "shop"}, ROWS[0]]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    assert run(["eval", "routing", str(file), "--worst", "5", "--json"]) == 0
    (mistake,) = json.loads(capsys.readouterr().out)["worst"]
    assert run(["eval", "routing", str(file), "--worst", "5"]) == 0
    shown = capsys.readouterr().out

    assert mistake.keys() == {
        *("text", "source", "label", "route", "needs_facts", "needs_manner", "margin", "reason")
    }
    assert (mistake["text"], mistake["source"], mistake["label"]) == (long, "shop", "factual")
    assert mistake["route"] != "factual"
    assert mistake["reason"]
    heading, about, text, why = shown.splitlines()[-4:]
    assert (heading, about.startswith("1. factual, decided ")) == ("", True)
    assert text.startswith("   Write a limerick [31mabout Mondays and Tuesdays")
    assert text.endswith("…")
    assert mistake["reason"][:80] in why


def test_without_mistakes_the_list_says_so(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    file.write_text(json.dumps(ROWS[0]), encoding="utf-8")

    assert run(["eval", "routing", str(file), "--worst", "1"]) == 0

    assert capsys.readouterr().out.endswith("no mistakes\n")


def test_bad_input_is_one_message_with_file_and_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('{"text": "Hello"}')

    assert run(["eval", "routing", str(file)]) == 1
    assert f"{file}:1: the row needs a label" in capsys.readouterr().err
    assert run(["eval", "routing", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["error"]
    assert (told["code"], told["field"]) == ("invalid_request", "file")
    assert run(["eval", "routing"]) == 2
    assert run(["eval", "routing", str(file), "--limit", "0"]) == 2


# --- baselines -----------------------------------------------------------------------------------


def test_rows_that_were_fitted_on_too_are_counted() -> None:
    train = own_rows("triples")

    found = baseline_figures(train[:9], Training(train, "these"))

    assert found["tfidf"]["rows_fitted_on_too"] == 9
    assert found["tfidf"]["macro_f1"] == 1.0
    assert found["best_constant"]["accuracy"] == pytest.approx(1 / 3)


def test_a_baseline_that_cannot_be_had_says_why_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = own_rows("triples")[:9]

    found = baseline_figures(rows, Training(rows, "these"), peers=tmp_path)

    assert "agentic-query-router[tune]" in found["tfidf"]["unavailable"]
    assert "uv is needed" in found["semantic_router"]["unavailable"]
    assert found["keyword_rules"]["n"] == 9


# --- the plot ------------------------------------------------------------------------------------


@pytest.fixture
def drawn(file: Path, home: Path) -> tuple[Sequence[LabelledQuestion], Decided, dict[str, Any]]:
    questions = read_labelled([file])
    decided = asyncio.run(decide_all(questions, Settings(home=home)))
    return questions, decided, figures(questions, decided)


def test_a_plot_is_drawn_the_same_every_time(
    tmp_path: Path, drawn: tuple[Sequence[LabelledQuestion], Decided, dict[str, Any]]
) -> None:
    pytest.importorskip("matplotlib", reason="the extra agentic-query-router[plot] is not there")
    one, other, picture = tmp_path / "one.svg", tmp_path / "other.svg", tmp_path / "one.PNG"

    for path in (one, other, picture):
        check_plot(path)
        draw(path, *drawn)

    told = one.read_text(encoding="utf-8")
    assert told == other.read_text(encoding="utf-8")
    assert all(title in told for title in ("Confusion", "Reliability", "Risk by coverage"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InvalidRequest, match="cannot be written"):
        draw(tmp_path / "folder.svg", *drawn)


def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest, match=r"\.svg or \.png"):
        check_plot(tmp_path / "plot.pdf")
    with pytest.raises(InvalidRequest, match="the folder is not there"):
        check_plot(tmp_path / "absent" / "plot.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationFault, match=r"agentic-query-router\[plot\]"):
        check_plot(tmp_path / "plot.svg")
