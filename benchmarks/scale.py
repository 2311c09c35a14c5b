"""From 1,000 to 10 million turns a day: what breaks first, at what load, and what takes over.

Run: .venv/bin/python -m benchmarks.scale. It reckons with the costs that `benchmarks.costs` has
measured and the assumptions of `benchmarks.growth`, plays a day minute by minute, rewrites the
figures in `docs/scale.md` and draws `docs/images/scale.svg`.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.costs import Costs
from benchmarks.growth import (
    MOST_TURNS,
    MOST_WORKSPACES,
    Assumed,
    Desk,
    Part,
    breaks_at,
    parts,
    play,
    waits,
)

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs/scale.md", ROOT / "docs/images/scale.svg"
BEGIN, END = "<!-- python -m benchmarks.scale -->", "<!-- end -->"
LOADS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
DAY_S = 86_400


def table(all_parts: Sequence[Part]) -> list[str]:
    """Each part, first to break first: where it does, and how many of it the loads need."""
    heads = [f"{load:,}" for load in LOADS]
    lines = [
        f"| part | carries, turns a day | {' | '.join(heads)} | then |",
        "|---|---:|" + "---:|" * len(LOADS) + "---|",
    ]
    days = [play(load) for load in LOADS]
    for part in sorted(all_parts, key=breaks_at):
        limit = breaks_at(part)
        shown = "over 100,000,000" if math.isinf(limit) else f"{_two_digits(limit):,}"
        cells = [_times(part.used(day)) for day in days]
        lines.append(f"| {part.name} | {shown} | {' | '.join(cells)} | {part.then} |")
    return lines


def _two_digits(value: float) -> int:
    step = 10 ** max(0, int(math.log10(value)) - 1)
    return int(value // step * step)


def _times(used: float) -> str:
    return f"{used:.0%}" if used < 1 else f"**{used:,.1f}×**"


def report(desk: Desk) -> str:
    """The figures of `docs/scale.md`."""
    costs, assumed, day = desk.costs, desk.assumed, play(MOST_TURNS)
    service_s = assumed.gpu_s * assumed.search_share * assumed.written_share
    steady = math.ceil(service_s * float(np.percentile(day.per_s, 99)) / 0.8)
    rows = [f"| GPUs* | longest wait at {MOST_TURNS:,} a day |", "|---:|---:|"]
    for servers in range(steady - 3, steady + 1):
        rows.append(f"| {servers} | {waits(day, servers, service_s).max():,.0f} s |")
    return "\n".join(
        [
            f"Measured on {costs.measured_on}, {costs.machine}: `python -m benchmarks.costs`.",
            "",
            *_measured(costs),
            "",
            f"The busiest minute of {MOST_TURNS:,} turns a day has {day.peak_per_s:,.0f} a second,"
            f" {day.peak_per_s * DAY_S / MOST_TURNS:.1f} times the mean.",
            "",
            *table(parts(desk)),
            "",
            f"\\* Assumed, not measured: {1e3 * assumed.gpu_s:.0f} ms of a GPU for a reply, and"
            f" {assumed.night_s / 60:.0f} minutes for a night in {assumed.learning_share:.0%} of"
            " the workspaces. A GPU counts as full at 80%; the waits below fill it wholly.",
            "",
            *rows,
        ]
    )


def _measured(costs: Costs) -> list[str]:
    turn = (
        f"{costs.turn_commits:.1f} commits, {1e3 * costs.turn_database_s:.1f} ms of PostgreSQL,"
        f" {1e3 * costs.turn_web_s:.1f} ms of a replica, {costs.turn_wal_bytes / 1e3:.1f} kB of"
        f" log, {costs.turn_stored_bytes / 1e3:.1f} kB of tables"
    )
    look = (
        f"{1e3 * costs.look_database_s:.2f} ms of PostgreSQL,"
        f" {1e3 * costs.look_web_s:.2f} ms of a replica"
    )
    return [
        "| one | costs |",
        "|---|---|",
        f"| turn, beside its answer | {turn} |",
        f"| look of an open chat page | {look} |",
        f"| question to encode | {1e3 * costs.question_s:.0f} ms of a core |",
        f"| passage in an index | {costs.passage_bytes / 1e3:.1f} kB of memory |",
        f"| workspace | {costs.workspace_bytes / 1e3:.0f} kB more |",
        f"| replica, before its indexes | {costs.replica_bytes / 1e9:.1f} GB |",
    ]


def draw(desk: Desk) -> None:
    """How full each part is by load, and one day at the largest."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "dragoman"
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5), width_ratios=(3, 2))
    loads = np.logspace(3, 7, 41)
    days = [play(load) for load in loads]
    for part in sorted(parts(desk), key=breaks_at):
        left.plot(loads, [part.used(day) for day in days], label=part.name)
    left.axhline(1, color="black", linestyle="--", linewidth=1)
    left.set(xscale="log", yscale="log", xlim=(1e3, 1e7), ylim=(1e-3, 1e3))
    left.set(xlabel="turns a day", ylabel="share in use in the busiest minute")
    left.set_title("A desk as `make stack` starts it: above the line it breaks")
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    day = play(MOST_TURNS)
    right.plot(np.arange(1440) / 60, day.per_s, linewidth=1)
    right.set(xlabel="hour (UTC)", ylabel="turns a second", xlim=(0, 24), ylim=(0, None))
    right.set_title(f"{MOST_TURNS:,} turns a day, {MOST_WORKSPACES:,} workspaces")
    right.grid(alpha=0.3)
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Rewrite the page's figures and its picture."""
    desk = Desk(costs=Costs.read(), assumed=Assumed())
    made = report(desk)
    print(made)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}")
    draw(desk)


if __name__ == "__main__":
    main()
