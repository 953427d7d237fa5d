"""``router eval routing``: how good are its decisions, on questions whose route is known?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.cli.measuring import bars
from router.cli.opening import run, waiting
from router.cli.options import Json, invocation
from router.cli.routing_shown import ROUTERS, shown
from router.cli.screen import count, err, out, plain, put_json

if TYPE_CHECKING:
    from router.config import Settings
    from router.evaluation.labelled import LabelledQuestion
    from router.evaluation.routing import Decided

_PHASES: Final = {
    "deciding": "deciding",
    "again": "again, several at once",
    "disturbed": "noisy",
    "written": "written pairs",
}


def routing(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="One JSON object a line: text or messages, and label (behavioural, factual or "
            "hybrid) or needs_facts and needs_manner; source may say where it comes from.",
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw confusion, reliability and risk by coverage, as .svg or .png.",
        ),
    ] = None,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Also ask the released semantic-router, which uv installs beside this one.",
        ),
    ] = False,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also count how often typos, casing, lost punctuation or small talk in front "
            "change the route, and what paraphrases, pastes, other languages and attempts to "
            "steer do to questions of the project's own.",
        ),
    ] = False,
    worst: Annotated[
        int,
        typer.Option(
            "--worst",
            metavar="N",
            min=0,
            help="Also list the N mistakes that the router was surest of.",
        ),
    ] = 0,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Decide at most N rows, always the same ones."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure decisions on labelled questions, beside simpler routers.

    No judge and no documents take part. Several files count as one set.
    """
    from router.evaluation.labelled import read_labelled
    from router.evaluation.lines import some_of
    from router.evaluation.plot import check_plot, draw
    from router.evaluation.routing_report import figures, surest_mistakes

    settings = invocation(context).settings()
    questions = read_labelled(files)
    if limit is not None:
        questions = some_of(questions, limit)
    if plot is not None:
        check_plot(plot)
    decided = run(_decided(questions, settings, disturbed=robustness))
    found = figures(questions, decided)
    found["baselines"] = _baselines(questions, settings, peers=peers)
    if worst:
        found["worst"] = surest_mistakes(questions, decided, worst)
    if plot is not None:
        draw(plot, questions, decided, found)
        err().print(f"drawn: {plain(str(plot))}", soft_wrap=True)
    if as_json:
        put_json(found)
        return
    for part in shown(found):
        out().print(part, soft_wrap=isinstance(part, str))


async def _decided(
    questions: Sequence[LabelledQuestion], settings: Settings, *, disturbed: bool
) -> Decided:
    from router.evaluation.routing import decide_all

    with bars(_PHASES) as after:
        return await decide_all(questions, settings, after, disturbed=disturbed)


def _baselines(
    questions: Sequence[LabelledQuestion], settings: Settings, *, peers: bool
) -> dict[str, Any]:
    """Compare; whatever a reader has to know about a baseline goes to standard error as well."""
    from router.errors import InvalidRequest
    from router.evaluation.routing_baselines import baseline_figures, training
    from router.tuning.rows import UnreadableRows

    rows = [question.row for question in questions]
    with waiting("comparing"):
        try:
            known = training()
        except UnreadableRows as error:
            raise InvalidRequest(str(error), field="file") from error
        found = baseline_figures(rows, known, peers=settings.home / "models" if peers else None)
    for line in _remarks(found):
        err().print(line, style="yellow", soft_wrap=True)
    return found


def _remarks(baselines: Mapping[str, Any]) -> Iterator[str]:
    tfidf = baselines["tfidf"]
    yield f"TF-IDF learns from {plain(tfidf['fitted_on'])}."
    if tfidf["rows_fitted_on_too"]:
        yield (
            f"{count(tfidf['rows_fitted_on_too'], 'row')} of these were fitted on too: the figures "
            "flatter this router and whatever else learns."
        )
    for name, one in baselines.items():
        if "unavailable" in one:
            yield f"{ROUTERS[name]} is left out. {plain(one['unavailable'])}"
