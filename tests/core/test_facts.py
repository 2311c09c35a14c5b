"""Numbers, links, addresses, codes and names, however they are written."""

import time

import pytest

from core.facts import addresses, ascii_digits, codes, links, literals, names, numbers


@pytest.mark.parametrize(
    ("text", "values", "unit"),
    [
        ("4.90 EUR", {"4.9"}, "EUR"),
        ("€4.90", {"4.9"}, "EUR"),
        ("4,90 €", {"4.9"}, "EUR"),
        ("1.500 Euro", {"1500", "1.5"}, "EUR"),
        ("1,500,000", {"1500000"}, ""),
        ("1 500 zł", {"1500"}, "PLN"),
        ("1.234,50 €", {"1234.5"}, "EUR"),
        ("１５００円", {"1500"}, "JPY"),
        ("٣٠ يومًا", {"30"}, ""),
        ("३० दिन", {"30"}, ""),
        ("10%", {"10"}, "%"),
        ("10 Prozent", {"10"}, "%"),
        ("007", {"7"}, ""),
    ],
)
def test_a_number_has_all_the_values_it_may_be_read_as(
    text: str, values: set[str], unit: str
) -> None:
    (number,) = numbers(ascii_digits(text))
    assert set(number.values) == values
    assert number.unit == unit


def test_a_date_is_its_numbers_and_the_number_of_a_step_is_none() -> None:
    assert [set(n.values) for n in numbers("12.03.2026")] == [{"12"}, {"3"}, {"2026"}]
    assert [set(n.values) for n in numbers("2. Wait 5 minutes")] == [{"5"}]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://Shop.Example/Form?a=1.", {"shop.example/Form?a=1"}),
        ("[form](https://evil.example/x)", {"evil.example/x"}),
        ("evil[.]example", {"evil.example"}),
        ("evil dot com", {"evil.com"}),
        ("hxxps://evil.example/", {"evil.example"}),
        ("write to us@shop.example", set()),
        ("This costs 4.90 e.g. in z.B. Berlin. Then go", set()),
    ],
)
def test_links_are_found_in_disguise_too(text: str, found: set[str]) -> None:
    assert links(text) == found


def test_addresses_are_found_in_disguise_too() -> None:
    assert addresses("a.b@Shop.example, @evil_bot") == {"a.b@shop.example", "@evil_bot"}
    assert addresses("boss (at) evil.example") == {"boss@evil.example"}


def test_codes_are_told_from_amounts() -> None:
    text = "SAVE20 RETURN-24 sk_live_42 within 30-day 5GB 2nd"
    assert codes(text) == {"save20", "return-24", "sk_live_42"}


@pytest.mark.parametrize(
    ("language", "sentence", "found"),
    [
        ("en", "Returns by DHL from Berlin are free.", {"DHL", "Berlin"}),
        ("de", "Die Rückgabe per PayPal ist möglich.", {"PayPal"}),
        ("zh", "您可以使用Visa付款，也可以到门店退货。", {"Visa"}),
        ("ru", "Доставка в Казань бесплатна.", {"Казань"}),
        ("en", "Press “My orders” now.", {"My orders"}),
        ("en", "I like it.", set()),
    ],
)
def test_names_are_found_where_the_spelling_shows_them(
    language: str, sentence: str, found: set[str]
) -> None:
    assert names(sentence, language) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("costs $1,299.00 or 1.299,00 € (20 %)", {"$1,299.00", "1.299,00 €", "20 %"}),
        ("3月5日に1万円を払い、30日以内に", {"3月5日", "1万円"}),
        ("2026년 3월 5일 14:30, 30일", {"2026년 3월 5일", "14:30"}),
        ("(see https://x.example/a?b=1).", {"https://x.example/a?b=1"}),
        ("AB-1234 for @anna_b at a.b@c.example", {"AB-1234", "@anna_b", "a.b@c.example"}),
        ("12 days", set()),
        ("٣٠ يومًا", {"٣٠"}),
    ],
)
def test_what_must_be_kept_to_the_letter_is_found_whole(text: str, found: set[str]) -> None:
    spans = literals(text, plain_numbers=False)
    assert found <= {text[start:end] for start, end in spans}
    whole = {text[start:end] for start, end in spans if not _within_another(start, end, spans)}
    assert whole == found


def _within_another(start: int, end: int, spans: tuple[tuple[int, int], ...]) -> bool:
    return any(
        other <= start and end <= other_end and (start, end) != (other, other_end)
        for other, other_end in spans
    )


def test_a_long_run_of_spaces_costs_no_time_and_hides_nothing() -> None:
    run = " " * 40_000
    started_s = time.perf_counter()
    assert links(f"a{run}b") == addresses(f"a{run}b") == frozenset()
    assert links(f"evil{run}[{run}.{run}]{run}example") == {"evil.example"}
    assert links(f"evil{run}dot{run}com") == {"evil.com"}
    assert addresses(f"eve{run}[{run}at{run}]{run}evil.example") == {"eve@evil.example"}
    assert time.perf_counter() - started_s < 2.0


@pytest.mark.parametrize("unit", ["a", "1", "a.", "a-", "1-", "1 "])
def test_a_long_word_costs_no_time(unit: str) -> None:
    text = unit * 20_000
    started_s = time.perf_counter()
    for read in (links, addresses, literals):
        assert read(f"{text} x@evil.example https://evil.example")
    assert time.perf_counter() - started_s < 2.0
