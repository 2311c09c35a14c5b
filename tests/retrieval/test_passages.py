import itertools
import re

import pytest
import sentencex
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.documents import Document
from retrieval.passages import MAX_HEADER_SIZE, MAX_SIZE, size, split


def document(text: str, language: str = "en") -> Document:
    return Document(id="help/returns", title="Returns", text=text, language=language)


def test_a_passage_stays_below_its_heading_and_knows_the_path() -> None:
    text = "# Returns\n\nYou have 30 days.\n\n## Costs\n\nReturns are free.\n\n# Other\n\nNothing."
    found = split(document(text))
    assert [(p.id, p.heading, p.text) for p in found] == [
        ("help/returns#1", "Returns", "You have 30 days."),
        ("help/returns#2", "Returns › Costs", "Returns are free."),
        ("help/returns#3", "Other", "Nothing."),
    ]


def test_a_long_text_is_cut_between_sentences() -> None:
    sentence = "This sentence is made of exactly nine short words."
    found = split(document(" ".join([sentence] * 60)))
    assert len(found) > 2
    assert all(p.text.endswith("words.") and p.text.startswith("This") for p in found)
    assert all(size(p.text) <= MAX_SIZE for p in found)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("zh", "退款需要三天。"), ("ja", "返金には三日かかります。"), ("th", "คืนเงินใช้เวลาสามวัน ")],
)
def test_scripts_without_spaces_are_measured_by_characters(language: str, sentence: str) -> None:
    found = split(document(sentence * 100, language))
    assert len(found) > 1
    assert all(len(p.text) <= 2 * MAX_SIZE for p in found)


def table(rows: int, header: str = "Country | Parcel | Days") -> list[str]:
    return [header, *(f"Land {n} | {n},90 € a parcel. | {n} to {n + 1} days" for n in range(rows))]


def test_a_long_table_is_cut_between_its_rows_and_keeps_its_first_row_in_sight() -> None:
    rows = table(60)
    found = split(document("# Costs\n\nIt depends.\n\n" + "\n".join(rows)))
    assert len(found) > 2
    assert [row for p in found for row in p.text.split("\n") if "|" in row] == rows
    assert all(size(p.text) <= MAX_SIZE for p in found)
    assert [p.heading for p in found] == ["Costs"] + [f"Costs › {rows[0]}"] * (len(found) - 1)


def test_a_table_that_fits_is_not_cut_for_the_sake_of_the_text_above_it() -> None:
    rows, above = "\n".join(table(12)), "It depends on the country. " * 8
    found = split(document(f"{above}\n{rows}"))
    assert [p.text for p in found] == [above.strip(), rows]
    assert [p.heading for p in found] == ["", ""]


def test_text_below_a_table_is_none_of_it() -> None:
    found = split(document("\n".join(table(30)) + "\n\n" + "Ask us for more of it. " * 30))
    assert (found[-1].text[:7], found[-1].heading) == ("Ask us ", "")


def test_a_first_row_that_is_a_text_of_its_own_is_not_repeated() -> None:
    wordy = f"a | {'b ' * int(MAX_HEADER_SIZE)}"
    assert {p.heading for p in split(document("\n".join(table(60, wordy))))} == {""}


def test_lines_that_no_full_stop_ends_are_kept_whole() -> None:
    lines = [f"Room {n} looks over the garden and has a bath" for n in range(80)]
    found = split(document("\n".join(lines)))
    assert len(found) > 2
    assert [line for p in found for line in p.text.split("\n")] == lines


@pytest.mark.parametrize("text", [f"Key: {'A' * 40_000}", "\n".join(["x" * 300] * 200)])
def test_what_nothing_parts_into_words_is_cut_all_the_same(text: str) -> None:
    found = split(document(text))
    assert all(len(p.text) <= 15 * MAX_SIZE for p in found)
    assert "".join("".join(p.text.split()) for p in found) == "".join(text.split())


def test_a_long_line_is_taken_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    segment = sentencex.segment

    def watched(language: str, text: str) -> list[str]:
        nonlocal longest
        longest = max(longest, len(text))
        return list(segment(language, text))

    monkeypatch.setattr(sentencex, "segment", watched)
    text = "返金には三日かかります。" * 3_000
    found = split(document(text, "ja"))
    assert longest <= 10_000
    assert all(p.text.endswith("。") for p in found)
    assert "".join(p.text for p in found) == text


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab. \n#|退。é", max_size=600))
def test_offsets_name_the_very_text_and_nothing_is_lost(text: str) -> None:
    found = split(document(text))
    assert all(text[p.start : p.end] == p.text and p.text.strip() for p in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    kept = "".join(p.text for p in found)
    headless = re.sub(r"^#{1,6} .*\S.*$", "", text, flags=re.MULTILINE)
    assert "".join(kept.split()) == "".join(headless.split())
