"""The command line as a real process: what goes to which stream, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Done: TypeAlias = subprocess.CompletedProcess[str]
Run: TypeAlias = Callable[..., Done]

LIMIT_S = 120
UNREACHABLE = "postgresql://bob:hunter2@127.0.0.1:1/nowhere"


def environment(home: Path, **more: str) -> dict[str, str]:
    ours = ("ROUTER_", "OTEL_", "NO_COLOR", "FORCE_COLOR")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return clean | {"ROUTER_HOME": str(home)} | more


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def run(home: Path) -> Run:
    def run(*arguments: str, stdin: str = "", **more: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "router", *arguments],
            input=stdin,
            env=environment(home, **more),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def shown(run: Run) -> Done:
    """The demonstration in an empty home; whatever needs the handbook comes after it."""
    return run("demo", "--json")


@pytest.fixture(scope="session")
def told(shown: Done) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(shown.stdout)
    return result


@pytest.fixture(scope="session")
def asked(run: Run, shown: Done) -> Done:
    return run("ask", "How many characters must a password have?", "--demo", "--json", "--trace")


def test_search_prints_passages_that_the_asker_may_see(run: Run, shown: Done) -> None:
    words = ("search", "What does salary band C pay?", "--demo", "--json")
    for_hr = json.loads(run(*words, "--as", "group:hr").stdout)
    for_all = json.loads(run(*words).stdout)

    assert any("43,500" in passage["text"] for passage in for_hr["passages"])
    assert for_all["passages"]
    assert not any("43,500" in passage["text"] for passage in for_all["passages"])


def test_conditions_narrow_what_is_searched(run: Run, shown: Done) -> None:
    words = ("How many days of annual leave do I get?", "--demo", "--where", "country=Spain")
    found = json.loads(run("search", *words, "--limit", "3", "--json").stdout)["passages"]
    answer = json.loads(run("ask", *words, "--json").stdout)

    assert {Path(passage["source"]).name for passage in found} == {"annual-leave-spain.md"}
    assert {Path(one["source"]).name for one in answer["citations"]} == {"annual-leave-spain.md"}


def test_a_condition_that_cannot_be_read_is_a_misuse(run: Run) -> None:
    done = run("ask", "Anything?", "--where", "country")

    assert done.returncode == 2
    assert "FIELD=VALUE" in " ".join(done.stderr.split())


def test_an_unknown_field_names_those_that_there_are(run: Run, shown: Done) -> None:
    done = run("search", "leave", "--demo", "--where", "nowhere=1", "--json")

    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["field"]) == ("invalid_request", "where")
    assert "country" in error["message"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ingested") / "papers"
    folder.mkdir()
    (folder / "boots.md").write_text("# Boots\n\nBoots may be returned within 45 days.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing of the kind")
    return folder


@pytest.fixture(scope="session")
def ingested(run: Run, shown: Done, folder: Path) -> Done:
    return run("ingest", str(folder), "--acl", "group:shop", "--json")


def test_the_demonstration_succeeds_in_an_empty_home(shown: Done) -> None:
    assert shown.returncode == 0, shown.stderr


def test_the_demonstration_ingests_the_whole_handbook(told: dict[str, Any]) -> None:
    assert told["documents"]["published"] == 36
    assert told["documents"]["problems"] == []


def test_the_demonstration_answers_questions_of_fact_with_citations(told: dict[str, Any]) -> None:
    password = told["questions"][1]
    assert "14 characters" in password["answer"]["text"]
    assert "14 characters" in password["answer"]["citations"][0]["quote"]


def test_the_demonstration_shows_salaries_to_hr(told: dict[str, Any]) -> None:
    assert "43,500" in told["questions"][2]["answer"]["text"]


def test_the_demonstration_shows_margins_to_finance(told: dict[str, Any]) -> None:
    assert "50 percent" in told["questions"][3]["answer"]["text"]


def test_the_demonstration_refuses_margins_to_everybody_else(told: dict[str, Any]) -> None:
    refused = told["questions"][4]
    assert refused["question"] == told["questions"][3]["question"]
    assert refused["answer"]["abstained"]
    assert "50 percent" not in json.dumps(refused)


def test_the_demonstration_lets_the_starter_model_speak(told: dict[str, Any]) -> None:
    assert told["questions"][7]["answer"]["text"]


def test_without_a_model_what_needs_one_says_so(run: Run, shown: Done) -> None:
    done = run("ask", "Good morning!", "--demo", "--json", ROUTER_STARTER="false")
    assert json.loads(done.stdout)["error"]["code"] == "model_unavailable"


def test_a_second_demonstration_skips_what_is_unchanged_and_fits_a_plain_page(
    run: Run, shown: Done
) -> None:
    again = run("demo", NO_COLOR="1")
    assert again.returncode == 0, again.stderr
    assert "0 documents published, 36 unchanged" in again.stdout
    assert "\x1b" not in again.stdout
    assert max(len(line) for line in again.stdout.splitlines()) <= 100


def test_ask_prints_one_json_object_and_nothing_else(asked: Done) -> None:
    answer = json.loads(asked.stdout)
    promised = {"text", "decision", "citations", "degraded", "timings_ms", "trace_id"}
    assert promised <= answer.keys()


def test_ask_names_the_decision_in_full(asked: Done) -> None:
    decision = json.loads(asked.stdout)["decision"]
    wanted = {"route", "needs_facts", "needs_manner", "margin", "reason", "policy"}
    assert wanted <= decision.keys()


def test_ask_can_show_the_spans_of_its_steps(asked: Done) -> None:
    spans = json.loads(asked.stdout)["trace"]
    steps = {span["attributes"].get("gen_ai.agent.name") for span in spans}
    assert {"classify", "retrieve", "factual"} <= steps


def test_ask_reads_the_question_from_standard_input_and_shows_quotes(run: Run, shown: Done) -> None:
    question = "How much does salary band C pay per year in Germany?"
    done = run("ask", "-", "--demo", "--as", "user:ana,group:hr", "--trace", stdin=question)
    assert done.returncode == 0, done.stderr
    assert "43,500" in done.stdout
    assert "[1] Salary bands" in done.stdout
    assert "classify" in done.stdout


def test_a_reader_that_has_gone_is_no_reason_to_complain(home: Path, shown: Done) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "router", "documents", "list", "--demo", "--json"],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(home),
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == ""


def test_ingestion_with_an_unreadable_file_exits_with_1(ingested: Done) -> None:
    assert ingested.returncode == 1


def test_ingestion_reports_what_went_in_and_what_did_not(ingested: Done) -> None:
    report = json.loads(ingested.stdout)
    assert (report["published"], report["acl"]) == (1, ["group:shop"])
    assert [problem["source"] for problem in report["problems"]] == ["papers/broken.pdf"]


def test_ingesting_again_without_a_list_keeps_the_readers(
    run: Run, ingested: Done, folder: Path
) -> None:
    again = json.loads(run("ingest", str(folder), "--json").stdout)
    listed = json.loads(run("documents", "list", "--json", "--as", "user:ana").stdout)
    assert (again["unchanged"], again["published"]) == (1, 0)
    assert "papers/boots.md" not in json.dumps(listed)


def test_ingestion_names_unreadable_files_on_standard_error(ingested: Done) -> None:
    assert "papers/broken.pdf: " in ingested.stderr


def test_documents_are_listed_for_those_who_may_see_them(run: Run, ingested: Done) -> None:
    listed = json.loads(run("documents", "list", "--as", "user:eve", "--json").stdout)
    assert listed == {"documents": []}


def test_a_document_is_shown_with_its_text(run: Run, ingested: Done) -> None:
    done = run("documents", "show", "papers/boots.md", "--as", "group:shop")
    assert "Boots may be returned within 45 days." in done.stdout
    assert "seen by group:shop" in done.stderr


def test_deleting_an_unknown_document_fails_and_says_which(run: Run, shown: Done) -> None:
    done = run("documents", "delete", "papers/nothing.md", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["unknown"] == ["papers/nothing.md"]


def test_a_conversation_in_json_has_one_turn_a_line(run: Run, shown: Done) -> None:
    lines = "How many characters must a password have?\n\n/reset\nGood morning!\n/quit\nunheard\n"
    done = run("chat", "--demo", "--json", stdin=lines)
    turns = json.loads(done.stdout)["turns"]
    assert [turn["question"] for turn in turns] == [
        "How many characters must a password have?",
        "Good morning!",
    ]
    assert "14 characters" in turns[0]["text"]


def test_ctrl_c_leaves_a_conversation_quietly(home: Path, shown: Done) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "router", "chat", "--demo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
        text=True,
    ) as talking:
        assert talking.stderr is not None
        assert "Ask away" in talking.stderr.readline()
        talking.send_signal(signal.SIGINT)
        # Its standard input stays open meanwhile: the end of that would end it as well.
        talking.wait(timeout=LIMIT_S)
        complaints = talking.stderr.read()
    assert (talking.returncode, complaints.strip()) == (0, "")


def test_the_address_is_told_once_somebody_listens_there(shown: Done, home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "router", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        env=environment(home),
        text=True,
    ) as serving:
        try:
            assert serving.stderr is not None
            line = next(line for line in serving.stderr if line.startswith("OpenAI-compatible API"))
            host, port = line.split("//")[1].split("/")[0].split(":")
            socket.create_connection((host, int(port)), timeout=LIMIT_S).close()
            serving.send_signal(signal.SIGINT)
            serving.communicate(timeout=LIMIT_S)
        finally:
            serving.kill()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - refused without keys
def test_no_address_is_told_where_nobody_listens(run: Run, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run("serve", "--host", host, "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    assert "http://" not in done.stderr


def test_the_doctor_finds_the_embedded_parts_well(run: Run, shown: Done) -> None:
    done = run("doctor", "--json", ROUTER_SERVER__PORT="0")
    checks = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert set(checks.values()) == {"ok"}, done.stdout
    assert {"database", "pgvector", "embedder", "policy", "home", "adapters"} <= checks.keys()


def test_the_doctor_reports_every_part_although_one_is_broken(run: Run, shown: Done) -> None:
    done = run("doctor", "--json", ROUTER_DATABASE_URL=UNREACHABLE)
    checks = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert (checks["database"], checks["embedder"]) == ("fail", "ok")
    assert "hunter2" not in done.stdout + done.stderr


def test_a_database_that_is_down_is_one_error_object_without_its_password(
    run: Run, shown: Done
) -> None:
    done = run("documents", "list", "--json", ROUTER_DATABASE_URL=UNREACHABLE)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "retrieval_unavailable"
    assert "hunter2" not in done.stdout + done.stderr


def test_wrong_settings_are_named_one_a_line_before_anything_starts(run: Run) -> None:
    done = run("ask", "Hello", ROUTER_PASSAGES="0", ROUTER_VLLM_URL="ftp://x")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line[:11] for line in done.stderr.splitlines()[1:]] == ["- vllm_url:", "- passages:"]


def test_a_settings_file_on_the_command_line_wins_over_the_variable(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("passagess = 3\n")
    done = run("--settings", str(file), "ask", "Hello", ROUTER_SETTINGS="/dev/null")
    assert done.returncode == 1
    assert "passagess: there is no such setting" in done.stderr


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from router.cli.boundary import run; code = run(['--help'])\n"
        "heavy = {'langgraph', 'langchain_core', 'onnxruntime', 'psycopg', 'numpy', 'pydantic',"
        " 'opentelemetry', 'rich', 'asyncio'}\n"
        "print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    assert done.stderr.strip() == "0 []"


def test_a_command_that_is_asked_to_end_closes_what_is_open_first() -> None:
    command = (
        "import asyncio\n"
        "from router.cli.opening import run\n"
        "async def work():\n"
        "    print('open', flush=True)\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        await asyncio.sleep(0)\n"
        "        print('closed')\n"
        "run(work())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGTERM)
        said, complaints = process.communicate(timeout=20)
    assert (process.returncode, said, complaints) == (143, "closed\n", "")
