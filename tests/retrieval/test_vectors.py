from pathlib import Path

import numpy as np
import pytest

from retrieval.encoder import Vectors, normalised
from retrieval.sentences import side_by_side
from retrieval.vectors import Form, build, form_for, load, nearest, save


def cloud(count: int, dim: int = 32) -> Vectors:
    numbers = np.random.default_rng(7)
    centres = numbers.standard_normal((50, dim))
    points = centres[numbers.integers(0, 50, count)] + 0.5 * numbers.standard_normal((count, dim))
    return normalised(points.astype(np.float32))


def test_the_form_follows_from_the_number_of_passages() -> None:
    assert form_for(100_000) is Form.FLAT
    assert form_for(100_001) is Form.GRAPH
    assert form_for(1_000_000) is Form.CELLS


@pytest.mark.parametrize(
    ("form", "recall"), [(Form.FLAT, 1.0), (Form.GRAPH, 0.9), (Form.CELLS, 0.9)]
)
def test_each_form_finds_what_an_exact_search_finds(
    form: Form, recall: float, tmp_path: Path
) -> None:
    vectors = cloud(3_000)
    save(build(vectors, form), tmp_path / "index.faiss")
    index = load(tmp_path / "index.faiss")
    hits = 0
    for question in vectors[:50]:
        exact = set(np.argsort(-(vectors @ question))[:10].tolist())
        rows, cosines = nearest(index, vectors, question, 10)
        assert np.all(np.diff(cosines) <= 1e-6)
        hits += len(exact & set(rows.tolist()))
    assert hits / 500 >= recall


def test_asking_for_more_than_there_is_brings_no_phantoms() -> None:
    vectors = cloud(3)
    rows, _ = nearest(build(vectors, Form.FLAT), vectors, vectors[0], 10)
    assert sorted(rows.tolist()) == [0, 1, 2]


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    save(build(cloud(100), Form.FLAT), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="FAISS"):
        load(path)


def test_a_passage_is_as_close_as_its_closest_sentence() -> None:
    vectors = cloud(7)
    passages = [vectors[:3], vectors[3:4], vectors[4:]]
    sentences = side_by_side(passages)
    question = normalised(vectors[5:6] + 0.1)[0]
    found = sentences.nearest(np.array([2, 0]), question)
    assert found == pytest.approx(
        [(p @ question).max() for p in (passages[2], passages[0])], abs=1e-3
    )
    assert np.allclose(sentences.of(2), vectors[4:], atol=1e-3)
