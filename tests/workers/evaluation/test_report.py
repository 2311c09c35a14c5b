"""The page of an evaluation, and what is kept of one."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import Rejected
from retrieval.knowledge import silent
from workers.evaluation.metrics import calibration_error, share
from workers.evaluation.report import write
from workers.evaluation.result import Result, tell
from workers.evaluation.saved import fingerprint, load, save
from workers.evaluation.scores import Columns, Judged, Rows

MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ROWS = 60


def judged(right: float, *, name: str = "a<b") -> Judged:
    dice = np.random.default_rng(0)
    return Judged(
        languages=["de"] * (ROWS - 5) + ["und"] * 5,
        columns={"right": dice.random(ROWS) < right, "probability": dice.random(ROWS)},
        measure=_measure,
        stated=lambda columns: (columns["probability"], columns["right"]),
        parts={"model": name},
        notes=("mind & matter",),
    )


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    right, stated = columns["right"][chosen], columns["probability"][chosen]
    return {
        "accuracy": share(right),
        "calibration_error": calibration_error(stated, right),
        "us_per_row": 1_234.5,
    }


def page(folder: Path, result: Result) -> str:
    path = folder / "report.html"
    write(path, result, ["dragoman", "evaluate", "'a file'"])
    return path.read_text(encoding="utf-8")


def test_a_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    html = page(tmp_path, tell("language", MADE, judged(0.7), silent))
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", html)
    assert "<dd>a&lt;b</dd>" in html
    assert "mind &amp; matter" in html
    assert "<span>&#39;a file&#39;</span>" in html
    assert "German (de)" in html
    assert "not told" in html
    assert html.count("<circle") == html.count('<th scope="row">0.'), "each dot is in the table too"
    assert "Compared with" not in html


def test_a_change_is_called_by_its_direction(tmp_path: Path) -> None:
    before = (MADE, judged(0.1, name="old"))
    result = tell("language", MADE, judged(0.9, name="new"), silent, before=before)
    html = page(tmp_path, result)
    assert "<dt>model before</dt><dd>old</dd>" in html
    rows = re.findall(r'<th scope="row">(\w+)</th>(?:<td>.*?</td>)+<td class="([\w ]+)">', html)
    verdicts = dict(rows)
    assert verdicts["accuracy"] == "better"
    assert verdicts["us_per_row"] == "not clear"


def test_few_rows_get_no_interval(tmp_path: Path) -> None:
    html = page(tmp_path, tell("language", MADE, judged(0.7), silent))
    intervals = dict(
        re.findall(
            r'<th scope="row">([^<]+)</th>(?:<td[^>]*>[\d.]+</td>)+<td class="roomy">(.*?)</td>',
            html,
        )
    )
    assert "–" in intervals["German (de)"]
    assert intervals["not told"] == ""


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no such file or directory"):
        page(tmp_path / "none", tell("language", MADE, judged(0.7), silent))


def test_what_is_kept_measures_the_same(tmp_path: Path) -> None:
    kept, now = tmp_path / "kept.json", judged(0.7)
    save(kept, "language", "hash", MADE, now)
    saved = load(kept, "language", "hash")
    assert saved.made == MADE
    old = saved.judged(now)
    assert all(old.columns[name].dtype == column.dtype for name, column in now.columns.items())
    against = tell("language", MADE, now, silent, before=(saved.made, old)).against
    assert against is not None
    assert {one.change for one in against.overall.values()} == {0.0}
    assert {one.p for one in against.languages["de"].values()} == {1.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "pii"}, "is of the task pii, not language"),
        ({"rows": "others"}, "was made of other rows"),
        ({"languages": ["de"]}, "not whole"),
        ({"columns": None}, "not written by evaluate --save"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    change: Mapping[str, Any], says: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    save(kept, "language", "hash", MADE, judged(0.7))
    kept.write_text(json.dumps(json.loads(kept.read_text()) | change))
    with pytest.raises(Rejected, match=says):
        load(kept, "language", "hash")


def test_the_same_rows_have_the_same_fingerprint_however_they_are_kept(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_text('{"a": 1}\n\n{"a": 2}\n')
    other.write_text('{"a": 1}\r\n{"a": 2}')
    assert fingerprint([one]) == fingerprint([other])
    assert fingerprint([one, other]) != fingerprint([one])
    other.write_text('{"a": 2}\n{"a": 1}\n')
    assert fingerprint([one]) != fingerprint([other])


def test_a_language_of_few_rows_is_not_compared() -> None:
    before = (MADE, judged(0.1))
    against = tell("language", MADE, judged(0.9), silent, before=before).against
    assert against is not None
    assert set(against.languages) == {"de"}, "five rows of no told language are too few"
