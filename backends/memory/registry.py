"""Twin of the registry of adapters: the same answers from a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backends.adapter_fields import check_report, check_spec, unknown_version
from backends.adapters import Adapter, AdapterSpec, AdapterState


class MemoryAdapterRegistry:
    """See `backends.adapters.AdapterRegistry`."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int], Adapter] = {}

    async def add(self, spec: AdapterSpec) -> Adapter:
        check_spec(spec)
        ours = self._of(spec.name)
        for known in ours:
            if replace(known.spec, report=None) == replace(spec, report=None):
                return known
        version = 1 + max((adapter.version for adapter in ours), default=0)
        added = Adapter(spec, version, AdapterState.CANDIDATE, datetime.now(UTC))
        self._versions[spec.name, version] = added
        return added

    async def find(self, name: str, version: int | None = None) -> Adapter | None:
        if version is not None:
            return self._versions.get((name, version))
        ours = self._of(name)
        return max(
            ours, key=lambda each: (each.state is AdapterState.LIVE, each.version), default=None
        )

    async def adapters(self, *, state: AdapterState | None = None) -> Sequence[Adapter]:
        wanted = [each for each in self._versions.values() if state in (None, each.state)]
        return sorted(wanted, key=lambda each: (each.spec.name, -each.version))

    async def promote(self, name: str, version: int) -> Adapter | None:
        wanted = self._known(name, version)
        before = None
        for each in self._of(name):
            if each.state is AdapterState.LIVE and each != wanted:
                before = self._put(replace(each, state=AdapterState.RETIRED))
        self._put(replace(wanted, state=AdapterState.LIVE))
        return before

    async def retire(self, name: str, version: int) -> Adapter:
        return self._put(replace(self._known(name, version), state=AdapterState.RETIRED))

    async def record(self, name: str, version: int, report: Mapping[str, Any]) -> Adapter:
        check_report(report)
        known = self._known(name, version)
        return self._put(replace(known, spec=replace(known.spec, report=dict(report))))

    def _of(self, name: str) -> list[Adapter]:
        return [each for each in self._versions.values() if each.spec.name == name]

    def _known(self, name: str, version: int) -> Adapter:
        known = self._versions.get((name, version))
        if known is None:
            raise unknown_version(name, version)
        return known

    def _put(self, adapter: Adapter) -> Adapter:
        self._versions[adapter.spec.name, adapter.version] = adapter
        return adapter
