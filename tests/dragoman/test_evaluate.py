"""`dragoman evaluate` as a person or a program runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.desk import ROOT, command, environment
from tests.workers.evaluation.rows import write_rows
from tests.workers.evaluation.shop import DOCUMENTS, IN_ENGLISH, IN_GERMAN

GERMAN = {"lang": "deu", "text": "Wann kommt mein Paket endlich bei mir an?"}
ENGLISH = {"lang": "en", "text": "When will my parcel arrive at my house?"}
MAIL = "Write to ada@example.org"
MARKED = {"text": MAIL, "spans": [{"type": "EMAIL_ADDRESS", "start": 9, "end": len(MAIL)}]}
KNOWN = [
    {"text": "How do I cancel my order?", "intent": "cancel_order"},
    {"text": "Where is my parcel now?", "intent": "track_parcel"},
]
ASKED = [
    {"text": "I want to cancel an order", "oos": False},
    {"text": "Who won the world cup in 1954?", "oos": True},
]
FILES: dict[str, list[list[Any]]] = {
    "language": [[GERMAN, ENGLISH]],
    "pii": [[MARKED]],
    "retrieval": [DOCUMENTS, [IN_ENGLISH, IN_GERMAN]],
    "answers": [DOCUMENTS, [IN_ENGLISH | {"answer": "30 days"}, IN_GERMAN]],
    "escalation": [KNOWN, ASKED],
}
PERFECT: dict[str, dict[str, float]] = {
    "language": {"accuracy": 1.0, "macro_f1": 1.0},
    "pii": {"span_recall": 1.0, "span_precision": 1.0, "span_recall_EMAIL_ADDRESS": 1.0},
    "retrieval": {"recall@1": 1.0, "recall@5": 1.0, "mrr": 1.0, "ndcg@10": 1.0},
    "answers": {"right": 1.0, "wrong": 0.0, "handed_over": 0.0, "grounded": 1.0},
    "escalation": {"auroc": 1.0, "average_precision": 1.0},
}
TAGS = {"language": {"de", "en"}, "retrieval": {"de", "en"}, "answers": {"de", "en"}}


# Loading torch takes most of the time, so that all tasks run in one process.
EACH = """
import json, sys
from dragoman.cli import cli
for arguments in json.loads(sys.argv[1]):
    cli(arguments, standalone_mode=False)
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `dragoman evaluate TASK FILE… --json` prints, by task."""
    folder = tmp_path_factory.mktemp("evaluate")
    calls = []
    for task, files in FILES.items():
        paths = [
            str(write_rows(folder / f"{task}-{number}.jsonl", rows))
            for number, rows in enumerate(files)
        ]
        calls.append(["evaluate", task, *paths, "--json"])
    env = environment(folder / "home", precision=0.5)
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(calls)],
        env=env,
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "home").exists(), "an evaluation leaves nothing behind"
    return dict(zip(FILES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("task", FILES)
def test_each_task_prints_its_scores_as_json(task: str, printed: dict[str, Any]) -> None:
    scores = printed[task]
    assert list(scores) == ["task", "overall", "languages"]
    assert scores["task"] == task
    assert scores["overall"].items() >= PERFECT[task].items()
    assert set(scores["languages"]) == TAGS.get(task, {"und"})
    assert sum(one["rows"] for one in scores["languages"].values()) == len(FILES[task][-1])


def test_a_person_reads_tables_with_intervals(tmp_path: Path) -> None:
    file = str(write_rows(tmp_path / "rows.jsonl", [ENGLISH, GERMAN, GERMAN]))
    done = command("evaluate", "language", file, env=environment(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["accuracy", "1.000", "1.000", "–", "1.000"] in lines
    assert [line[:4] for line in lines[-2:]] == [
        ["de", "2", "1.000", "1.000"],
        ["en", "1", "1.000", "1.000"],
    ]


def test_a_wrong_file_is_told_in_one_line(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [GERMAN, {"lang": "de"}])
    done = command("evaluate", "language", str(path), env=environment(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f'dragoman: {path}, line 2: "text" is missing\n'


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["translation", "a.jsonl"], ["language", "retrieval", "answers", "escalation", "pii"]),
        (["retrieval", "documents.jsonl"], ["retrieval takes two files"]),
    ],
)
def test_wrong_use_names_what_there_is(
    arguments: list[str], says: list[str], tmp_path: Path
) -> None:
    done = command("evaluate", *arguments, env=environment(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (2, "")
    assert all(one in done.stderr for one in says)
