"""Draws what a run logged, to be read at a glance on light and on dark pages."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a log entry says of the clock rather than of the model.
SPEED = (
    "runtime",
    "_per_second",
    "epoch",
    "total_flos",
    "num_tokens",
    "num_input_tokens_seen",
    "model_preparation_time",
)
TRAIN, DEV = "#8a8f98", "#3b82f6"
# Of the scores these are better when lower.
LOWER_IS_BETTER = ("loss", "perplexity")
# How the run went rather than how good it is, so it comes last.
_COURSE = ("learning_rate", "grad_norm")
# So grey that black and white are equally far away.
_INK = "#7d828a"
_WIDE, _HIGH, _COLUMNS = 4.6, 2.7, 2

Points = Sequence[tuple[float, float]]
Panel = Mapping[str, Points]


def style() -> AbstractContextManager[None]:
    """Grey ink on no background."""
    from matplotlib import rc_context

    return rc_context(
        {
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "font.size": 9,
        }
    )


def draw_curves(history: list[dict[str, Any]], path: Path) -> None:
    """One panel a quantity over the updates, train beside dev, the best dev score marked."""
    from matplotlib.figure import Figure

    panels = _panels(history)
    rows = max(1, -(-len(panels) // _COLUMNS))
    with style():
        figure = Figure(figsize=(_WIDE * _COLUMNS, _HIGH * rows), layout="constrained")
        for at, (name, lines) in enumerate(panels.items(), start=1):
            _draw(figure.add_subplot(rows, _COLUMNS, at), name, lines)
        unfinished = path.with_suffix(".part.png")
        figure.savefig(unfinished, dpi=130)
    unfinished.rename(path)


def _panels(history: list[dict[str, Any]]) -> Mapping[str, Panel]:
    """The points of each quantity and split: loss first, then the scores, then the course."""
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for entry in history:
        for name, value in entry.items():
            if name == "step" or name.endswith(SPEED) or not isinstance(value, int | float):
                continue
            split = "dev" if name.startswith("eval_") else "train"
            # What follows a resume is logged a second time.
            found[name.removeprefix("eval_")][split][entry["step"]] = value

    def place(name: str) -> tuple[bool, bool, str]:
        return name in _COURSE, name != "loss", name

    return {
        name: {split: sorted(points.items()) for split, points in found[name].items()}
        for name in sorted(found, key=place)
    }


def _draw(axes: "Axes", name: str, lines: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    for split, points in lines.items():
        colour = DEV if split == "dev" else TRAIN
        few = len(points) < 30
        axes.plot(*zip(*points, strict=True), color=colour, marker="." if few else "", label=split)
    axes.set(title=name.replace("_", " "), xlabel="update")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if "dev" in lines:
        _mark_best(axes, lines["dev"], lower=name.endswith(LOWER_IS_BETTER))
        axes.legend()


def _mark_best(axes: "Axes", points: Points, *, lower: bool) -> None:
    step, best = (min if lower else max)(points, key=lambda point: point[1])
    axes.plot(
        *([step], [best]),
        color=DEV,
        marker="o",
        markersize=7,
        fillstyle="none",
        linestyle="none",
        label=f"best {best:.4g} at {step:g}",
    )
