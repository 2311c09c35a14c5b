"""One night on the demo company, from its conversations to a version in service, told in a table.

Run: `make night`. Everything is the product's own: the articles of `examples/demo`, the questions
of `examples/night` as fourteen days of conversations, and the night as a worker carries it out. The
table compares the held-out questions before and after; what the gate refuses, it says why.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.nights import NightState, VersionKind, report_name
from dragoman.settings import PREFIX

HOME = Path("var/night")
SLOT = "demo"


def step(*command: str) -> str:
    """Run one of our commands on the night's own data; its output.

    In a folder of its own and without what an installation has set, which would write this night's
    conversations among those of its customers.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    HOME.mkdir(parents=True, exist_ok=True)
    environment = kept | {"DRAGOMAN_DATA_DIR": str(HOME.resolve()), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment, cwd=HOME, check=False, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"night: {' '.join(command)} ended with {done.returncode}")
    return done.stdout


def table(report: Mapping[str, Any]) -> str:
    """The held-out questions, all and by language, before and after."""
    names = list(report["before"] | report["after"])
    lines = [
        "| | turns | " + " | ".join(f"{name} before | after" for name in names) + " |",
        "|---|---|" + "---|---|" * len(names),
    ]
    rows = {"all": report, **report["languages"]}
    for tag, row in rows.items():
        cells = [_cell(row[when], name) for name in names for when in ("before", "after")]
        lines.append(f"| {tag} | {row['turns']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figures: Mapping[str, float], name: str) -> str:
    """Empty where there was nothing to measure, such as no answer of a person to compare with."""
    if name not in figures:
        return ""
    return f"{figures[name]:.1f}" if name == "chrf" else f"{figures[name]:.2f}"


def main() -> None:
    """Live through the night, and print what it changed."""
    shutil.rmtree(HOME, ignore_errors=True)
    began_s = time.monotonic()
    step("dragoman", "ask", "Hello", "--json")
    step("benchmarks.night_conversations")
    night = json.loads(step("dragoman.night", "run", "--slot", SLOT, "--json"))
    took_s = time.monotonic() - began_s
    print(
        f"The night ended {night['state']} after {took_s / 60:.0f} min. {night['reason'] or ''}\n"
    )
    folder = HOME / "nights" / "default" / SLOT
    for kind in VersionKind:
        if not (folder / report_name(kind, "json")).exists():
            continue
        report = json.loads((folder / report_name(kind, "json")).read_bytes())
        print(f"{kind}\n\n{table(report)}")
        print()
        for check in report["checks"]:
            print(f"{'passed' if check['passed'] else 'FAILED'}  {check['name']}: {check['told']}")
        print(f"\nThe whole report: {folder / report_name(kind)}\n")
    print(step("dragoman", "models", "list"))
    if night["state"] not in (NightState.PUBLISHED, NightState.REFUSED):
        sys.exit(1)


if __name__ == "__main__":
    main()
