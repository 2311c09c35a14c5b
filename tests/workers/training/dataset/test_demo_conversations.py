"""The demo company's conversations, which fine-tuning is measured on."""

from pathlib import Path

import pytest

from benchmarks.demo_conversations import TRAIN, write
from core.prompt import read_marks
from core.sentences import split
from workers.training.dataset.examples import Reply
from workers.training.dataset.folder import Dataset, Part
from workers.training.dataset.splitting import leaks


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write(tmp_path_factory.mktemp("demo"))


def test_there_are_as_many_conversations_as_promised_in_eight_languages(dataset: Dataset) -> None:
    files, languages = dataset.manifest.files, dataset.manifest.languages
    assert files[Part.TRAIN].rows == TRAIN
    assert files[Part.DEV].rows + files[Part.TEST].rows >= 100
    assert set(languages[Part.TEST]) == {"en", "de", "fr", "es", "pt", "zh", "ja", "ar"}
    assert set(languages[Part.TRAIN].values()) <= {37, 38}
    assert dataset.manifest.dropped.keys() == {"not_sampled"}


def test_no_question_stands_in_two_parts(dataset: Dataset) -> None:
    assert leaks({part: dataset.stream(part) for part in Part}) == ()


def test_each_sentence_stands_in_the_passage_that_it_names(dataset: Dataset) -> None:
    for row in dataset.rows(Part.TRAIN, Reply):
        assert len(row.passages) >= 2
        marked = row.reply.split("]")[:-1]
        for piece in marked:
            text, named = read_marks(f"{piece}]", len(row.passages))
            assert len(named) == 1
            for sentence in split(text):
                assert sentence.strip().rstrip(".。") in row.passages[named[0]].text


def test_some_questions_have_a_past(dataset: Dataset) -> None:
    rows = dataset.rows(Part.TRAIN, Reply)
    assert sum(len(row.messages) == 3 for row in rows) > 30


@pytest.mark.long
def test_every_run_writes_the_same(dataset: Dataset, tmp_path: Path) -> None:
    assert write(tmp_path).manifest.files == dataset.manifest.files
