"""A dataset from a recipe to its files."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from core.errors import Rejected
from tests.workers.training.dataset.rows import label, parallel, reply, text
from workers.training.dataset.__main__ import main
from workers.training.dataset.augmentation import Rewrite
from workers.training.dataset.building import build
from workers.training.dataset.examples import Example, Label, to_json
from workers.training.dataset.folder import Dataset, Part, open_dataset
from workers.training.dataset.recipe import read_recipe
from workers.training.dataset.splitting import leaks

LABELS = [label(number, "rare" if number % 10 == 0 else "common") for number in range(200)]


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def made(
    tmp_path: Path,
    rows: Iterable[Example],
    more: str = "",
    *,
    name: str = "set",
    rewrite: Rewrite | None = None,
) -> Dataset:
    (tmp_path / "rows.jsonl").write_bytes(b"".join(map(to_json, rows)))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"sources:\n  - rows: rows.jsonl\n{more}")
    return build(read_recipe(recipe), tmp_path / name, silent, rewrite)


def all_rows(dataset: Dataset) -> dict[Part, list[Example]]:
    return {part: list(dataset.stream(part)) for part in Part}


def test_every_row_stands_in_one_part_and_nothing_leaks(tmp_path: Path) -> None:
    # Each of five groups is tied to twelve others by what it nearly says, too.
    near = [
        label(number, "other", text=f"{text(number)} ok", group=f"n{number % 5}")
        for number in range(60)
    ]
    grouped = [label(2_000 + number, group=f"g{number % 7}") for number in range(60)]
    dataset = made(tmp_path, [*LABELS, *near, *grouped])
    rows = all_rows(dataset)
    assert leaks(rows) == ()
    kept = sum(map(len, rows.values()))
    assert kept + sum(dataset.manifest.dropped.values()) == 320
    assert len(rows[Part.TRAIN]) > 5 * len(rows[Part.TEST]) > 0


def test_the_same_recipe_gives_the_same_files(tmp_path: Path) -> None:
    one = made(tmp_path, LABELS, name="one").manifest
    other = made(tmp_path, LABELS, name="other").manifest
    assert one.files == other.files
    third = made(tmp_path, LABELS, "seed: 1\n", name="third").manifest
    assert third.files[Part.TRAIN].sha256 != one.files[Part.TRAIN].sha256
    assert third.languages == one.languages


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    sentence = "Wir erstatten Ihnen den Betrag innerhalb von zehn Tagen auf Ihre Karte."
    rows = [
        *LABELS,
        label(1, "common", text=text(1).upper()),
        label(2, "common", text=f"{text(2)} {text(3)}"),
        label(2, "common", text=f"{text(2)} {text(3)}!"),
        label(5, text=sentence, lang="fr"),
        label(6, licence="CC-BY-SA-4.0"),
        label(7, text=" <br> "),
        label(8, text=sentence, lang="de"),
        label(9, text=f"{sentence} Danke!", lang="de"),
    ]
    manifest = made(tmp_path, rows, "languages: [en, de, fr]\n").manifest
    assert sum(file.rows for file in manifest.files.values()) == len(rows) - 6
    assert manifest.dropped == {
        "exact_duplicate": 2,
        "wrong_language": 1,
        "licence": 1,
        "empty": 1,
        "near_duplicate": 1,
    }


def test_the_manifest_counts_what_the_files_hold(tmp_path: Path) -> None:
    pairs = [parallel(500 + number, ("de", "is")[number % 4 == 0]) for number in range(200)]
    dataset = made(tmp_path, [*LABELS, *pairs], "cleaning: {languages: false}\n")
    manifest, rows = dataset.manifest, all_rows(dataset)
    for part in Part:
        assert manifest.files[part].rows == len(rows[part])
        assert manifest.kinds[part] == Counter(row.kind for row in rows[part])
        assert manifest.labels[part] == Counter(
            row.label for row in rows[part] if isinstance(row, Label)
        )
    assert set(manifest.languages[Part.TRAIN]) == {"en", "de", "is"}
    assert [(one.source, one.licence, one.rows) for one in manifest.origins] == [
        ("ours", "CC0-1.0", 400)
    ]
    assert manifest.code


def test_sampling_shows_before_and_after(tmp_path: Path) -> None:
    manifest = made(tmp_path, LABELS, "sample: {labels: over}\n").manifest
    before, after = manifest.before["labels"], manifest.labels[Part.TRAIN]
    assert before["common"] > 5 * before["rare"]
    assert after == {"common": before["common"], "rare": before["common"]}
    small = made(tmp_path, LABELS, "sample: {rows: 50}\n").manifest
    assert small.files[Part.TRAIN].rows == 50
    assert small.dropped["not_sampled"] == sum(small.before["labels"].values()) - 50
    assert small.files[Part.TEST] == manifest.files[Part.TEST]


def test_made_rows_stand_in_train_alone(tmp_path: Path) -> None:
    dataset = made(tmp_path, LABELS, "augment: {label: {noise: 0.5}}\n")
    rows = all_rows(dataset)
    counts = {part: sum(row.augmented is not None for row in rows[part]) for part in Part}
    assert counts[Part.TRAIN] == dataset.manifest.augmented["noise"] > 40
    assert counts[Part.DEV] == counts[Part.TEST] == 0
    assert leaks(rows) == ()


def test_a_row_that_is_made_never_asks_what_dev_or_test_asks(tmp_path: Path) -> None:
    def swap(texts: Sequence[str], source: str, target: str) -> list[str]:
        """A model that knows the other rows by heart."""
        numbers = (int(one.rpartition(" ")[2]) for one in texts)
        return [text(number + 1 if number % 2 else 10_000 + number) for number in numbers]

    dataset = made(tmp_path, LABELS, "augment: {label: {paraphrase: 1}}\n", rewrite=swap)
    assert dataset.manifest.augmented["paraphrase"] > 50
    assert leaks(all_rows(dataset)) == ()


def test_personal_data_never_reaches_a_file(tmp_path: Path) -> None:
    rows: list[Example] = [
        *LABELS,
        *(
            reply(f"{text(n)} ada{n}@example.org", f"{text(n)}. [1]", group=f"r{n}")
            for n in range(300, 330)
        ),
    ]
    dataset = made(tmp_path, rows)
    assert "@" not in "".join(row.model_dump_json() for row in dataset.stream(Part.TRAIN))
    assert "⟦EMAIL_1⟧" in "".join(row.model_dump_json() for row in dataset.stream(Part.TRAIN))


def test_too_few_rows_are_told_before_a_dataset_stands(tmp_path: Path) -> None:
    made(tmp_path, LABELS)
    with pytest.raises(Rejected, match="would hold no rows: 2 rows in 2 groups are too few"):
        made(tmp_path, LABELS[:2])
    with pytest.raises(Rejected, match="holds no dataset"):
        open_dataset(tmp_path / "set")
    with pytest.raises(Rejected, match=r"no rows are left; licence: 1"):
        made(tmp_path, [label(1, licence="GPL-3.0-only")])


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("sources: [", "not YAML"),
        ("just words", "a recipe is a mapping of settings"),
        ("sources: []", "sources: list should have at least 1 item"),
        ("sources: {rows: a}", "sources: input should be a valid list"),
        ("sources: [{rows: a, knowledge: b}]", "sources.0: name one of database, knowledge, rows"),
        ("sources: [{rows: a, draws: 2}]", "sources.0: draws: is about the questions of a public"),
        (
            "sources: [{public: a, sets: [nope]}]",
            "sources.0: no set is called nope; there are para",
        ),
        ("sources: [{public: a}]", "sources.0: public needs sets: parallel"),
        ("sources: [{rows: a}]\nseeds: 1", "seeds: extra inputs are not permitted"),
        ("sources: [{rows: a}]\nsplit: {dev: 0}", "split.dev: input should be greater than 0"),
        ("sources: [{rows: a}]\nlanguages: [German]", "should be a language tag such as de"),
    ],
)
def test_a_wrong_recipe_is_told_in_one_line(tmp_path: Path, recipe: str, says: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    with pytest.raises(Rejected) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unset_variable_for_the_database_is_told(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("sources: [{database: $NO_SUCH_VARIABLE}]")
    with pytest.raises(Rejected, match=r"\$NO_SUCH_VARIABLE names a variable"):
        build(read_recipe(recipe), tmp_path / "set", silent)


def test_a_full_disk_ends_in_one_line_and_no_dataset(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl.gz").symlink_to("/dev/full")
    with pytest.raises(Rejected, match="no space left on device"):
        made(tmp_path, LABELS)
    assert not (folder / "manifest.json").exists()


@pytest.mark.long
def test_the_command_builds_and_tells_what_it_left_out(tmp_path: Path) -> None:
    made(tmp_path, [*LABELS, label(1, licence="GPL-3.0-only")])
    shutil.rmtree(tmp_path / "set")
    command = [sys.executable, "-m", "workers.training.dataset", "recipe.yaml", "set"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    files = open_dataset(tmp_path / "set").manifest.files
    assert done.stdout.splitlines() == [
        *(f"{part}: {files[part].rows} rows" for part in Part),
        "left out, licence: 1",
    ]


def test_the_command_tells_a_wrong_row_and_wrong_use_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, LABELS)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"kind": "label"}))
    recipe, folder = str(tmp_path / "recipe.yaml"), str(tmp_path / "set")
    assert main([recipe, folder]) == 1
    assert capsys.readouterr().err == f'dragoman: {rows}, line 1: "lang" is missing\n'
    assert main([recipe]) == 2
    assert capsys.readouterr().err.startswith("usage: ")
