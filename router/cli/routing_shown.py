"""How decisions on labelled questions did, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from router.cli.screen import count, one_line, plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

ROUTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "best_constant": "best constant",
        "keyword_rules": "keyword rules",
        "tfidf": "TF-IDF",
        "semantic_router": "semantic-router",
    }
)
"""The baselines, and what they are called."""

_PAIRS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "paraphrase": "in other words",
        "hidden": "hidden in a paste",
        "de": "in German",
        "fr": "in French",
        "es": "in Spanish",
        "steering": "told how to decide",
    }
)
_ROUTES: Final = ("factual", "behavioural", "hybrid")
_SOURCES: Final = 30
"""Sources that the table has room for; ``--json`` has them all."""

_TEXT: Final = 160
"""Characters of a question or a reason that are shown; ``--json`` has them whole."""


def shown(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the parts of the report, from `router.evaluation.routing_report` and the baselines."""
    yield f"{count(found['n'], 'question')}; in brackets 95 % intervals\n"
    yield _routers(found)
    yield ""
    yield _confusion(found["confusion"])
    yield ""
    ece, brier, times = found["ece"], found["brier"], found["latency_ms"]
    yield (
        f"calibration error: facts {ece['facts']:.3f}, manner {ece['manner']:.3f}; "
        f"Brier: facts {brier['facts']:.3f}, manner {brier['manner']:.3f}"
    )
    surest = ", ".join(
        f"{share} % {accuracy:.3f}" for share, accuracy in found["accuracy_at_coverage"].items()
    )
    yield f"accuracy of the surest: {surest}"
    yield (
        f"latency: p50 {times['p50']:.1f} ms, p99 {times['p99']:.1f} ms; "
        f"{found['throughput_per_s']:.0f} decisions a second"
    )
    if "flip_rate" in found:
        pairs = found["robustness"]
        noise = {name: one for name, one in found["flip_rate"].items() if name not in pairs}
        yield f"route changed: {'; '.join(_flips(noise))}"
        yield ""
        yield "pairs that the project itself has written, no rows of FILE\n"
        yield _pairs(pairs)
    if len(found["per_source"]) > 1:
        yield ""
        yield _sources(found["per_source"])
    if "worst" in found:
        yield ""
        yield from _worst(found["worst"])


def _routers(found: Mapping[str, Any]) -> RenderableType:
    table = _table("", "accuracy", "macro-F1", *(f"F1 {route}" for route in _ROUTES))
    baselines = {ROUTERS[name]: one for name, one in found["baselines"].items()}
    for name, one in {"this router": found, **baselines}.items():
        if "unavailable" not in one:
            per_class = (f"{one['per_class'][route]['f1']:.3f}" for route in _ROUTES)
            table.add_row(name, f"{one['accuracy']:.3f}", _macro_f1(one), *per_class)
    return table


def _confusion(confusion: Mapping[str, Mapping[str, int]]) -> RenderableType:
    table = _table("label", *(f"→ {route}" for route in _ROUTES))
    for true in _ROUTES:
        table.add_row(true, *(str(confusion[true][guess]) for guess in _ROUTES))
    return table


def _sources(per_source: Mapping[str, Any]) -> RenderableType:
    table = _table("source", "rows", "accuracy", "macro-F1")
    largest = sorted(per_source, key=lambda name: (-per_source[name]["n"], name))
    for name in largest[:_SOURCES]:
        one = per_source[name]
        table.add_row(plain(name), str(one["n"]), f"{one['accuracy']:.3f}", _macro_f1(one))
    if len(largest) > _SOURCES:
        table.add_row(f"and {len(largest) - _SOURCES} more", "", "", "")
    return table


def _worst(worst: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "the surest mistakes" if worst else "no mistakes"
    for number, one in enumerate(worst, 1):
        yield ""
        yield (
            f"{number}. {one['label']}, decided {one['route']} by a margin of {one['margin']:.2f} "
            f"(facts {one['needs_facts']:.2f}, manner {one['needs_manner']:.2f}; "
            f"{plain(one['source'])})"
        )
        yield f"   {one_line(one['text'], _TEXT)}"
        yield f"   {one_line(one['reason'], _TEXT)}"


def _flips(flip_rate: Mapping[str, Any]) -> Iterator[str]:
    for kind in (name for name in flip_rate if f"{name}_n" in flip_rate):
        if flip_rate[kind] is None:
            yield f"{kind} disturbs none of them"
            continue
        low, high = flip_rate[f"{kind}_ci"]
        yield f"{kind} {flip_rate[kind]:.3f} [{low:.3f}, {high:.3f}] of {flip_rate[f'{kind}_n']}"


def _pairs(pairs: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    table = _table("", "pairs", "route changed", "accuracy before", "after")
    for kind, one in pairs.items():
        low, high = one["flip_rate_ci"]
        table.add_row(
            _PAIRS[kind],
            str(one["n"]),
            f"{one['flip_rate']:.3f} [{low:.3f}, {high:.3f}]",
            f"{one['accuracy_text']:.3f}",
            f"{one['accuracy_variant']:.3f}",
        )
    return table


def _macro_f1(one: Mapping[str, Any]) -> str:
    low, high = one["macro_f1_ci"]
    return f"{one['macro_f1']:.3f} [{low:.3f}, {high:.3f}]"


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for title in others:
        table.add_column(title, justify="right")
    return table
