"""`dragoman evaluate` as a person or a program runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import Misconfigured
from dragoman.evaluate_command import Task, evaluate
from tests.desk import ROOT, command, environment
from tests.workers.evaluation.rows import write_rows
from tests.workers.evaluation.shop import DOCUMENTS, IN_ENGLISH, IN_GERMAN
from tests.workers.tiny_classifier import build_entities, build_sentiment
from tests.workers.tiny_translator import PAIRS, build_nllb
from workers.training.encoders import encoder_folder

pytestmark = pytest.mark.long

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
FELT = [
    {"lang": "en", "text": "great thing", "label": "positive"},
    {"lang": "jav", "text": "awful thing", "label": "negative"},
]
TAGGED = [{"lang": "en", "tokens": ["Ada", "Lovelace"], "tags": ["B-PER", "I-PER"]}]
TRANSLATED = [
    {"src_lang": one.source, "tgt_lang": one.target, "src": one.text, "ref": one.translated}
    for one in PAIRS
]
SUMMED = [{"dialogue": "Ann: Where is my parcel?", "summaries": ["Ann: Where is my parcel?"]}]
FILES: dict[str, list[list[Any]]] = {
    "language": [[GERMAN, ENGLISH]],
    "pii": [[MARKED]],
    "sentiment": [FELT],
    "entities": [TAGGED],
    "translation": [TRANSLATED],
    "summary": [SUMMED],
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
    "sentiment": {"macro_f1": 1.0, "accuracy": 1.0},
    "entities": {"span_f1": 1.0},
    # Two words are too few for BLEU's runs of three and four.
    "translation": {"chrf": 100.0, "ter": 0.0},
    "summary": {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0},
}
TAGS = {
    "language": {"de", "en"},
    "retrieval": {"de", "en"},
    "answers": {"de", "en"},
    "sentiment": {"en", "jv"},
    "entities": {"en"},
    "translation": {"de", "en", "fr"},
}
# A key that rows of the last file cannot do without.
KEYS = {
    "language": "text",
    "pii": "spans",
    "sentiment": "label",
    "entities": "tags",
    "translation": "ref",
    "summary": "summaries",
    "retrieval": "query",
    "answers": "doc_id",
    "escalation": "oos",
}


# Loading torch takes most of the time, so that many commands run in one process.
EACH = """
import json, os, sys
from core.errors import DragomanError
from dragoman.cli import cli
for arguments, settings in json.loads(sys.argv[1]):
    os.environ.update(settings)
    try:
        cli(arguments, standalone_mode=False)
    except DragomanError as error:
        print(error, file=sys.stderr)
    for name in settings:
        del os.environ[name]
"""


def run_each(
    calls: list[tuple[list[str], dict[str, str]]], home: Path, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run `dragoman …` again and again, each time with some more settings."""
    return subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(calls)],
        env=environment(home, **settings),
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `dragoman evaluate TASK FILE… --json` prints, by task."""
    folder = tmp_path_factory.mktemp("evaluate")
    calls: list[tuple[list[str], dict[str, str]]] = []
    for task, files in FILES.items():
        paths = [
            str(write_rows(folder / f"{task}-{number}.jsonl", rows))
            for number, rows in enumerate(files)
        ]
        calls.append((["evaluate", task, *paths, "--json"], {}))
    done = run_each(
        calls,
        folder / "home",
        precision=0.5,
        sentiment=build_sentiment(folder / "sentiment"),
        entities=build_entities(folder / "entities"),
        translator=build_nllb(folder / "translator"),
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "home").exists(), "an evaluation leaves nothing behind"
    return dict(zip(FILES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("task", FILES)
def test_each_task_prints_its_scores_as_json(task: str, printed: dict[str, Any]) -> None:
    scores = printed[task]
    assert list(scores) == ["task", "overall", "languages", "intervals"]
    assert scores["task"] == task
    assert scores["overall"].items() >= PERFECT[task].items()
    assert set(scores["languages"]) == TAGS.get(task, {"und"})
    assert sum(one["rows"] for one in scores["languages"].values()) == len(FILES[task][-1])
    intervals = scores["intervals"]
    assert set(intervals["languages"]) == set(scores["languages"])
    for name, value in scores["overall"].items():
        low, high = intervals["overall"][name]
        assert low <= value <= high, name


def test_each_task_names_the_line_where_a_key_is_missing(tmp_path: Path) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []
    for task, files in FILES.items():
        rows = [*files[-1], {key: files[-1][0][key] for key in files[-1][0] if key != KEYS[task]}]
        wrong = write_rows(tmp_path / f"{task}.jsonl", rows)
        known = [write_rows(tmp_path / f"{task}-known.jsonl", one) for one in files[:-1]]
        calls.append((["evaluate", task, *map(str, known), str(wrong), "--json"], {}))
    done = run_each(
        calls,
        tmp_path / "home",
        sentiment=build_sentiment(tmp_path / "sentiment"),
        entities=build_entities(tmp_path / "entities"),
        translator=build_sentiment(tmp_path / "translator"),
    )
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f'{tmp_path / task}.jsonl, line {len(files[-1]) + 1}: "{KEYS[task]}" is missing'
        for task, files in FILES.items()
    ]


def test_a_task_without_its_model_names_the_setting(tmp_path: Path) -> None:
    tasks = ("sentiment", "entities", "translation")
    files = [str(write_rows(tmp_path / f"{task}.jsonl", FILES[task][0])) for task in tasks]
    # What ships tells sentiment by the vectors of the encoder that ships, and of no other.
    other = {"DRAGOMAN_ENCODER": str(encoder_folder("english"))}
    lost = {"DRAGOMAN_SENTIMENT": "/no/such/folder"}
    calls = [(["evaluate", task, file], other) for task, file in zip(tasks, files, strict=True)]
    dead = {"DRAGOMAN_MODEL_URL": "http://127.0.0.1:9/v1"}
    calls += [(["evaluate", "sentiment", files[0]], lost), (["evaluate", *calls[2][0][1:]], dead)]
    # A model that only finds sentences is none for this either.
    (tmp_path / "points").mkdir()
    (tmp_path / "points/config.json").write_text('{"only_points": true}')
    points = {"DRAGOMAN_MODEL": str(tmp_path / "points")}
    calls += [(["evaluate", *calls[2][0][1:]], points)]
    done = run_each(calls, tmp_path / "home")
    assert done.stdout == ""
    sentiment, *others = done.stderr.splitlines()
    assert sentiment.startswith(
        "there is no model for this: set DRAGOMAN_SENTIMENT to a folder or hub id; "
    )
    assert "was made for the encoder" in sentiment
    assert others == [
        "there is no model for this: set DRAGOMAN_ENTITIES to a folder or hub id",
        "there is no model for this: set DRAGOMAN_TRANSLATOR to a folder or hub id;"
        " DRAGOMAN_MODEL or DRAGOMAN_MODEL_URL of a dialogue model will do too",
        "DRAGOMAN_SENTIMENT: /no/such/folder: no such model folder",
        "model: http://127.0.0.1:9/v1/ does not answer (APIConnectionError)",
        "there is no model for this: set DRAGOMAN_TRANSLATOR to a folder or hub id;"
        " DRAGOMAN_MODEL or DRAGOMAN_MODEL_URL of a dialogue model will do too",
    ]


def test_sentiment_is_told_without_any_setting(tmp_path: Path) -> None:
    """By the head that ships, also in languages that it has not learnt from."""
    felt = [
        {"lang": "it", "text": "Servizio fantastico, grazie di cuore!", "label": "positive"},
        {
            "lang": "pl",
            "text": "Bardzo mnie zawiedliście, to już trzecia reklamacja.",
            "label": "negative",
        },
        {"lang": "nl", "text": "Wat zijn jullie openingstijden?", "label": "neutral"},
    ]
    file = write_rows(tmp_path / "felt.jsonl", felt)
    done = run_each([(["evaluate", "sentiment", str(file), "--json"], {})], tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["overall"]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("task", "scorer"), [(Task.TRANSLATION, "sacrebleu"), (Task.SUMMARY, "rouge_score")]
)
def test_a_scorer_that_is_not_installed_is_told_before_any_model_works(
    task: Task, scorer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, scorer, None)
    with pytest.raises(Misconfigured, match=rf"{scorer} is not installed.*dragoman\[train\]"):
        evaluate(task, [tmp_path / "rows.jsonl"])


def test_two_versions_are_compared_on_the_same_rows_only(tmp_path: Path) -> None:
    words = {"great": "positive", "awful": "negative", "table": "neutral"}
    rows = [
        {"lang": "en", "text": f"{word} thing", "label": label} for word, label in words.items()
    ]
    file = str(write_rows(tmp_path / "rows.jsonl", rows * 8))
    other = str(write_rows(tmp_path / "other.jsonl", rows * 7))
    kept, report = tmp_path / "kept.json", tmp_path / "report.html"
    wrong_way = ("positive", "neutral", "negative")
    poor = {"DRAGOMAN_SENTIMENT": str(build_sentiment(tmp_path / "poor", wrong_way))}
    good = {"DRAGOMAN_SENTIMENT": str(build_sentiment(tmp_path / "good"))}
    against = ["--against", str(kept)]
    done = run_each(
        [
            (["evaluate", "sentiment", file, "--save", str(kept), "--json"], poor),
            (["evaluate", "sentiment", file, *against, "--json", "--report", str(report)], good),
            (["evaluate", "sentiment", file, *against], good),
            (["evaluate", "sentiment", other, *against], good),
            (["evaluate", "language", file, *against], good),
        ],
        tmp_path / "home",
    )
    _, compared, *table = done.stdout.splitlines()
    assert "thing" not in kept.read_text(), "no text is kept"
    change = json.loads(compared)["against"]["overall"]["accuracy"]
    assert (change["before"], change["after"]) == (0.3333, 1.0)
    assert change["p"] < 0.01
    page = report.read_text()
    assert all(f"<dd>{name}</dd>" in page for name in ("poor", "good"))
    assert '<td class="better">better</td>' in page
    lines = [line.split()[:4] for line in table]
    assert ["accuracy", "0.333", "1.000", "+0.667"] in lines
    assert lines[-2][:3] == ["en", "+0.667*", "+0.667*"]
    assert done.stderr.splitlines() == [
        f"{kept}: was made of other rows; only the same files can be compared",
        f"{kept}: is of the task sentiment, not language",
    ]


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


def test_words_of_a_file_are_no_markup(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [ENGLISH, {**GERMAN, "lang": "[/x]"}])
    done = command("evaluate", "language", str(path), env=environment(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert "[/x]" in done.stdout


def test_what_cannot_be_saved_is_told_first_or_printed_all_the_same(tmp_path: Path) -> None:
    file, env = str(write_rows(tmp_path / "rows.jsonl", [GERMAN])), environment(tmp_path / "home")
    done = command("evaluate", "language", file, "--save", str(tmp_path), "--json", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a folder" in done.stderr
    done = command("evaluate", "language", file, "--save", "/proc/x.json", "--json", env=env)
    assert (done.returncode, json.loads(done.stdout)["task"]) == (1, "language")
    assert "/proc/x" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["translating", "a.jsonl"], ["language", "retrieval", "answers", "translation"]),
        (["retrieval", "documents.jsonl"], ["retrieval takes two files"]),
    ],
)
def test_wrong_use_names_what_there_is(
    arguments: list[str], says: list[str], tmp_path: Path
) -> None:
    done = command("evaluate", *arguments, env=environment(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (2, "")
    assert all(one in done.stderr for one in says)
