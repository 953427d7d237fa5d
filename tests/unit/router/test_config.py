"""Settings: one message a key, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import Settings, load_settings
from router.errors import SettingsError


def written(folder: Path, text: str) -> Path:
    file = folder / "router.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_anything_the_embedded_defaults_hold() -> None:
    settings = load_settings()

    assert settings.database_url is None
    assert settings.vllm_url == ()
    assert settings.server.host == "127.0.0.1"
    assert settings.traces == "none"
    assert not settings.capture_content


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, 'vllm_model = "from-file"\npassages = 3\n[server]\nport = 9000\n')
    monkeypatch.setenv("ROUTER_SETTINGS", str(file))
    monkeypatch.setenv("ROUTER_VLLM_MODEL", "from-environment")
    monkeypatch.setenv("ROUTER_SERVER__HOST", "::1")

    settings = load_settings()

    assert settings.vllm_model == "from-environment"
    assert settings.passages == 3
    assert (settings.server.host, settings.server.port) == ("::1", 9000)


def test_several_replicas_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_VLLM_URL", "http://127.0.0.1:8000, http://127.0.0.1:8001/")

    assert load_settings().vllm_url == ("http://127.0.0.1:8000", "http://127.0.0.1:8001")


def test_every_wrong_key_gets_its_own_line(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'colour = "blue"\npassages = 900\ntraces = "smoke"\n[server]\nport = "high"\nhots = 1\n',
    )

    with pytest.raises(SettingsError) as wrong:
        load_settings(file)

    keys = {problem.split(":")[0] for problem in wrong.value.problems}
    assert keys == {"colour", "passages", "traces", "server.port", "server.hots"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('vllm_url = "localhost:8000"', "vllm_url"),
        ('embeddings_url = "http://127.0.0.1:1"', "settings"),
        ('rerank_url = "http://127.0.0.1:1"', "settings"),
        ('rerank_url = "127.0.0.1:1"\nrerank_model = "cross"', "rerank_url"),
        ('judge_url = "127.0.0.1:1"', "judge_url"),
        ('judge_url = "http://"', "judge_url"),
        ('judge_url = "http://ana:hunter2"', "judge_url"),
        ('judge = true\njudge_url = "http://127.0.0.1:1"', "settings"),
        ('condense = "model"', "settings"),
        ('[server]\nanonymous = "ana"', "server.anonymous"),
        ('database_schema = "a; drop"', "database_schema"),
        ("[timeouts]\nrequest = 0", "timeouts.request"),
    ],
)
def test_a_value_that_cannot_work_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load_settings(written(tmp_path, text))

    assert [problem.split(":")[0] for problem in wrong.value.problems] == [key]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/v1"),
        ("http://127.0.0.1:8001/v1/", "http://127.0.0.1:8001/v1"),
        ("https://rerank.test/v2", "https://rerank.test/v2"),
    ],
)
def test_a_rerank_server_is_addressed_by_its_version(given: str, taken: str) -> None:
    assert Settings(rerank_url=given, rerank_model="cross").rerank_url == taken


def test_a_judge_is_addressed_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_JUDGE_URL", "http://127.0.0.1:8080/")
    monkeypatch.setenv("ROUTER_JUDGE_API_KEY", "hunter2")

    settings = load_settings()

    assert settings.judge_url == "http://127.0.0.1:8080/v1"
    assert "hunter2" not in repr(settings)


def test_two_judges_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_JUDGE", "true")
    monkeypatch.setenv("ROUTER_JUDGE_URL", "http://127.0.0.1:8080")

    with pytest.raises(SettingsError, match="leave out one of the two"):
        load_settings()


def test_a_secret_stands_in_no_message(tmp_path: Path) -> None:
    file = written(tmp_path, 'database_url = ["postgresql://u:hunter2@h/db"]')

    with pytest.raises(SettingsError) as wrong:
        load_settings(file)

    assert "hunter2" not in str(wrong.value)
    assert "database_url" in str(wrong.value)


def test_a_secret_is_masked_when_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_DATABASE_URL", "postgresql://u:hunter2@h/db")

    assert "hunter2" not in repr(load_settings())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "absent.toml")


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="line 1"):
        load_settings(written(tmp_path, "= 3"))


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_PASSAGES", "3")

    assert Settings(passages=9).passages == 9


def test_a_list_that_is_not_json_is_one_problem_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROUTER_SERVER__API_KEYS", "hunter2")

    with pytest.raises(SettingsError) as wrong:
        load_settings()

    assert len(wrong.value.problems) == 1
    assert "hunter2" not in str(wrong.value)


def test_an_address_in_a_message_would_be_a_secret_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as wrong:
        load_settings(written(tmp_path, 'vllm_url = "ana:hunter2@host"'))

    assert "hunter2" not in str(wrong.value)
