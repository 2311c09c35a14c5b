import regex
from hypothesis import given
from hypothesis import strategies as st

from bots.telegram.splitting import MAX_UNITS, split, units
from bots.telegram.texts import readable, storable

any_text = st.text(alphabet=st.characters(codec="utf-8"), max_size=400)
# What breaks naive cuts: pairs, joined emoji, combining marks, flags, Hangul, Thai, line ends.
awkward = st.lists(
    st.sampled_from(
        [
            "👩‍👩‍👧‍👦",
            "🇩🇪",
            "é",
            "ก็",
            "한",
            "각",
            "\r\n",
            "\n\n",
            ". ",
            "。",
            "؟ ",
            " ",
            "word",
            "𝒳",
            "<b>",
        ]
    ),
    max_size=80,
).map("".join)


@given(any_text | awkward, st.integers(min_value=2, max_value=120))
def test_joined_the_parts_are_the_text_and_each_fits(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert "".join(parts) == text
    assert all(0 < units(part) <= limit for part in parts)


@given(awkward, st.integers(min_value=30, max_value=60))
def test_no_grapheme_is_cut(text: str, limit: int) -> None:
    whole = regex.findall(r"\X", text)
    cut = [grapheme for part in split(text, limit) for grapheme in regex.findall(r"\X", part)]
    assert cut == whole


@given(st.text(alphabet=st.characters()))
def test_units_are_what_utf_16_needs(text: str) -> None:
    assert units(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_a_paragraph_is_preferred_to_a_line_a_sentence_and_a_word() -> None:
    paragraph = "One. Two three.\nLine.\n\n"
    assert split(paragraph + "Four five.", 30)[0] == paragraph
    assert split("One two. Three four", 12)[0] == "One two. "
    assert split("一二三。四五六七", 6)[0] == "一二三。"
    assert split("one two three", 9)[0] == "one two "


def test_a_word_longer_than_a_message_is_cut_where_it_must_be() -> None:
    text = "x" * 10_000
    assert [len(part) for part in split(text)] == [MAX_UNITS, MAX_UNITS, 10_000 - 2 * MAX_UNITS]


def test_a_letter_under_thousands_of_accents_is_cut_between_code_points() -> None:
    text = "a" + "\u0301" * 9_000
    parts = split(text)
    assert "".join(parts) == text
    assert max(map(units, parts)) <= MAX_UNITS


def test_a_megabyte_is_split_quickly() -> None:
    text = "Ein Satz mit einigen Worten. " * 36_000
    assert "".join(split(text)) == text


def test_hidden_characters_go_and_spelling_stays() -> None:
    assert readable("a\u202eb\u200bc\U000e0041d\x07") == "abcd"
    persian, family = "می\u200cخواهم", "👩‍👧"
    assert readable(persian) == persian
    assert readable(family) == family


@given(st.text(alphabet=st.characters()))
def test_whatever_comes_can_be_stored_and_shown(text: str) -> None:
    assert "\0" not in storable(text)
    storable(text).encode()
    assert readable(readable(text)) == readable(text)
