"""Draws decisions on labelled questions: confusion, reliability of both axes, risk by coverage."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from router.errors import ConfigurationFault, InvalidRequest
from router.evaluation.routing_report import axes
from router.policy import Route
from router.tuning.metrics import reliability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from router.evaluation.labelled import LabelledQuestion
    from router.evaluation.routing import Decided

SUFFIXES: Final = (".svg", ".png")

_COLOURS: Final = {"facts": "#1f77b4", "manner": "#d62728"}
_FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Dates and random ids would make every drawing of the same figures another file.
    ".svg": {"metadata": {"Date": None}},
    ".png": {"dpi": 150},
}


def check_plot(path: Path) -> None:
    """Find out before anything is measured whether a drawing can be written.

    Raises:
        InvalidRequest: The name ends in neither .svg nor .png, or its folder is not there.
        ConfigurationFault: Matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidRequest(
            f"{path}: a plot is written as {' or '.join(SUFFIXES)}; end its name so.", field="plot"
        )
    if not path.parent.is_dir():
        raise InvalidRequest(f"{path}: the folder is not there.", field="plot")
    if find_spec("matplotlib") is None:
        raise ConfigurationFault(
            "Plots are drawn by matplotlib, which is not installed; it comes with the extra "
            "agentic-query-router[plot]."
        )


def draw(
    path: Path,
    questions: Sequence[LabelledQuestion],
    decided: Decided,
    figures: Mapping[str, Any],
) -> None:
    """Write one picture of three parts; the same figures give the same picture.

    Args:
        path: As `check_plot` wants it; what is there is overwritten.
        questions: What was decided.
        decided: What became of it.
        figures: What `router.evaluation.routing_report.figures` says of it.

    Raises:
        InvalidRequest: The file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "router", "svg.fonttype": "none"}):
        # Not pyplot, which would keep the figure and look for a screen.
        figure = Figure(figsize=(15, 5), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        _draw_confusion(left, figures["confusion"])
        _draw_reliability(middle, questions, decided, figures["ece"])
        _draw_risk(right, figures["risk_coverage"])
        figure.suptitle(
            f"{figures['n']} questions, macro-F1 {figures['macro_f1']:.3f}, "
            f"accuracy {figures['accuracy']:.3f}"
        )
        suffix = path.suffix.lower()
        try:
            figure.savefig(path, format=suffix[1:], **_FORMATS[suffix])
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise InvalidRequest(f"{path} cannot be written ({reason}).", field="plot") from error


def _draw_confusion(axis: Axes, confusion: Mapping[str, Mapping[str, int]]) -> None:
    counts = [[confusion[true][guess] for guess in Route] for true in Route]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for down, row in enumerate(counts):
        for across, count in enumerate(row):
            colour = "white" if shares[down][across] > 0.5 else "black"
            axis.text(across, down, str(count), ha="center", va="center", color=colour)
    axis.set_xticks(range(len(Route)), list(Route))
    axis.set_yticks(range(len(Route)), list(Route))
    axis.set(title="Confusion", xlabel="decided", ylabel="label")


def _draw_reliability(
    axis: Axes,
    questions: Sequence[LabelledQuestion],
    decided: Decided,
    errors: Mapping[str, float],
) -> None:
    axis.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    for name, pair in axes(questions, decided).items():
        bins = reliability(*pair)
        said, was = [one.probability for one in bins], [one.happened for one in bins]
        colour = _COLOURS[name]
        axis.plot(said, was, linewidth=1, color=colour, alpha=0.4)
        # A bin of few rows says little, and is drawn so.
        areas = [10 + 800 * one.rows / len(questions) for one in bins]
        label = f"{name}, ECE {errors[name]:.3f}"
        axis.scatter(said, was, s=areas, color=colour, alpha=0.6)
        axis.scatter([], [], s=40, color=colour, label=label)
    axis.set(title="Reliability", xlabel="probability", ylabel="share that needs it")
    axis.legend()


def _draw_risk(axis: Axes, curve: Sequence[tuple[float, float]]) -> None:
    axis.plot([coverage for coverage, _ in curve], [risk for _, risk in curve], color="black")
    axis.set(
        title="Risk by coverage",
        xlabel="share of questions decided, surest first",
        ylabel="share of them decided wrongly",
        xlim=(0, 1),
    )
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
