"""Runs every measurement and writes `benchmarks/RESULTS.md`."""

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
EARLIER = "\n### Earlier\n"
"""What stands under it in a section is written by hand, and stays there."""
PARTS = {
    "path": "The durable path",
    "desk": "People take over",
    "retrieval": "Retrieval",
    "encoder": "The starter encoder",
    "firms": "A firm's articles",
    "everyday": "What every desk is asked most",
    "language": "Language detection",
    "pii": "Personal data",
    "pretraining": "Pre-training",
    "finetuning": "Fine-tuning",
    "serving": "Serving a model",
    "labels": "Labels",
    "compression": "Compression",
}


def machine() -> str:
    """The hardware in a line, as Linux tells it."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    cores = os.cpu_count()
    return (
        f"{cores} cores of {names[0] if names else platform.machine()}, {kib / 2**20:.0f} GiB,"
        f" Python {platform.python_version()}"
    )


def section(name: str) -> str:
    """Run one measurement as a process of its own and return its Markdown."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    print(f"benchmarks: {name}…", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=HERE.parent)
    if done.returncode != 0:
        return f"`python -m benchmarks.{name}` failed with exit code {done.returncode}.\n"
    return done.stdout.strip() + "\n"


def main(chosen: list[str]) -> None:
    """Measure the chosen parts, or all; all else in the file keeps its last text.

    So does what a section says under `EARLIER`.
    """
    results = HERE / "RESULTS.md"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    new = {}
    for name, title in PARTS.items():
        if not chosen or name in chosen:
            body = f"Measured on {today}, {machine()}: `python -m benchmarks {name}`.\n\n"
            new[title] = (body + section(name)).strip()
    # Measuring takes long, and the file may have been written meanwhile.
    found = _sections(results.read_text()) if results.exists() else {}
    for title, body in new.items():
        _, heading, earlier = found.get(title, "").partition(EARLIER)
        found[title] = body + (f"\n{heading}{earlier}" if heading else "")
    lines = [
        "# Results",
        "",
        "Written by `make bench`; one part alone: `python -m benchmarks path`. Sections of other"
        " commands name theirs, and what stands under",
        '"Earlier" was written by hand. Other programs share the machine, so ratios within one run'
        " say more than single times.",
        "",
    ]
    for title, body in found.items():
        lines += [f"## {title}", "", body, ""]
    results.write_text("\n".join(lines))
    print(f"benchmarks: wrote {results.relative_to(HERE.parent)}", file=sys.stderr)


def _sections(text: str) -> dict[str, str]:
    parts = text.split("\n## ")[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1].strip() for part in parts}


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(PARTS)
    if unknown:
        sys.exit(f"benchmarks: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    main(sys.argv[1:])
