"""Which settings a server starts with."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from router.config import ServerSettings
from router.errors import SettingsError
from router.server.keys import check_binding, is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.1.2.3", "router.example"])  # noqa: S104 - what is refused
def test_a_host_beyond_loopback_without_keys_is_refused_by_both_names(host: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.host.*server\.api_keys"):
        check_binding(ServerSettings(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.7", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    check_binding(ServerSettings(host=host))


def test_with_keys_any_host_will_do() -> None:
    check_binding(ServerSettings(host="0.0.0.0", api_keys=(SecretStr("k-1"),)))  # noqa: S104 - with a key


@pytest.mark.parametrize("key", ["", " "])
def test_an_empty_key_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.api_keys"):
        check_binding(ServerSettings(api_keys=(SecretStr("k-1"), SecretStr(key))))


@pytest.mark.parametrize("host", ["localhost.example", "127.0.0.1.example", "0x7f000001", ""])
def test_a_name_that_only_looks_like_loopback_is_none(host: str) -> None:
    assert not is_loopback(host)
