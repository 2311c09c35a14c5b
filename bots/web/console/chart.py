"""Lines drawn as SVG, in numbers that a template puts down."""

from collections.abc import Sequence
from dataclasses import dataclass

from bots.web.console.needs import CurvePoint

# The drawing's own units; it is scaled to its box.
WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 320.0, 160.0, 34.0, 22.0, 8.0
LEAST, MOST = 0.5, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A measured point, in the drawing's units."""

    x: float
    y: float
    point: CurvePoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Coverage over the precision to keep; `mark` is the point that holds now.

    `columns` and `rows` are grid lines as (place, share).
    """

    path: str
    dots: tuple[Dot, ...]
    mark: Dot | None
    columns: tuple[tuple[float, float], ...]
    rows: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day of a column chart."""

    x: float
    y: float
    width: float
    height: float
    value: int


def curve(points: Sequence[CurvePoint], precision: float) -> Curve:
    """The measured curve, with what holds if at least `precision` is kept."""
    dots = tuple(
        Dot(x=_across(point.precision), y=_up(point.coverage), point=point)
        for point in sorted(points, key=lambda point: point.precision)
    )
    return Curve(
        path=" ".join(f"{'L' if n else 'M'}{dot.x:.1f} {dot.y:.1f}" for n, dot in enumerate(dots)),
        dots=dots,
        # Between two measured points the next higher one is what the search keeps.
        mark=next((dot for dot in dots if dot.point.precision >= precision - 1e-9), None),
        columns=tuple((_across(share), share) for share in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        rows=tuple((_up(share), share) for share in (0.0, 0.5, 1.0)),
    )


def bars(
    values: Sequence[int], *, most: int, height: float = 56.0, width: float = 320.0
) -> tuple[Bar, ...]:
    """Columns side by side; one of `most` reaches the top."""
    most = most or 1
    step = width / max(1, len(values))
    return tuple(
        Bar(
            x=n * step + step * 0.12,
            y=height - height * value / most,
            width=step * 0.76,
            height=height * value / most,
            value=value,
        )
        for n, value in enumerate(values)
    )


def _across(precision: float) -> float:
    return LEFT + (precision - LEAST) / (MOST - LEAST) * (WIDTH - LEFT - 8)


def _up(coverage: float) -> float:
    return ABOVE + (1 - coverage) * (HEIGHT - ABOVE - BELOW)
