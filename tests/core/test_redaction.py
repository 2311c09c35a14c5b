"""What is masked, what is left alone, and that every mark finds its way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import Type, find, mask, restore, scrub

PERSONAL = [
    (Type.EMAIL_ADDRESS, "Write to {} please", "anna.meier+shop@mail.example.org"),
    (Type.EMAIL_ADDRESS, "邮箱是{}请", "anna@mail.example"),
    (Type.EMAIL_ADDRESS, "an {}.", "jörg.müller@büro.example"),
    (Type.IBAN_CODE, "IBAN {} danke", "DE89 3704 0044 0532 0130 00"),
    (Type.IBAN_CODE, "на счёт {}", "gb82west12345698765432"),
    (Type.CREDIT_CARD, "my card {} is lost", "4111 1111 1111 1111"),
    (Type.CREDIT_CARD, "بطاقتي {}", "٤١١١١١١١١١١١١١١١"),
    (Type.CREDIT_CARD, "カード{}です", "５５５５５５５５５５５５４４４４"),
    (Type.CREDIT_CARD, "amex {}", "378282246310005"),
    (Type.IP_ADDRESS, "from {} yesterday", "203.0.113.7"),
    (Type.IP_ADDRESS, "from {} yesterday", "2001:db8::8a2e:370:7334"),
    (Type.US_SSN, "SSN: {}", "460-89-9847"),
    (Type.DOMAIN_NAME, "see {}.", "https://shop.example/returns?id=1"),
    (Type.PHONE_NUMBER, "Call me at {}", "+49 30 901820"),
    (Type.PHONE_NUMBER, "Meine Nummer: {}", "030 901820"),
    (Type.PHONE_NUMBER, "tel. {}", "0171 1234567"),
    (Type.PHONE_NUMBER, "{}", "(415) 555-2671"),
    (Type.PHONE_NUMBER, "Appelez le {} svp", "06 12 34 56 78"),
    (Type.PHONE_NUMBER, "Llámame al {}", "612 345 678"),
    (Type.PHONE_NUMBER, "Позвоните мне: {}", "8 (912) 345-67-89"),
    (Type.PHONE_NUMBER, "我的电话是{}", "13812345678"),
    (Type.PHONE_NUMBER, "手机号{}", "１３８１２３４５６７８"),
    (Type.PHONE_NUMBER, "電話は{}です", "03-1234-5678"),
    (Type.PHONE_NUMBER, "전화 {}", "010-1234-5678"),
    (Type.PHONE_NUMBER, "رقم هاتفي {}", "٠٥٠١٢٣٤٥٦٧"),
    (Type.PHONE_NUMBER, "फ़ोन {}", "98765 43210"),
    (Type.PHONE_NUMBER, "zadzwoń {}", "601 234 567"),
    (Type.PHONE_NUMBER, "{}", "0044 20 7946 0958"),
    (Type.PHONE_NUMBER, "order 12345, call me at {}", "415 555 2671"),
    (Type.SECRET, "key {}", "sk-proj-abcdefghijklmnop1234"),
    (Type.SECRET, "key {}", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    (Type.SECRET, "token {}", "xoxb-123456789012-abcdefghijkl"),
    (Type.SECRET, "{}", "AKIAIOSFODNN7EXAMPLE"),
    (Type.SECRET, "bot {}", "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"),
    (Type.SECRET, "{}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"),
    (
        Type.SECRET,
        "{}",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\n-----END RSA PRIVATE KEY-----",
    ),
]


def test_one_account_behind_another_is_found_too() -> None:
    text = "DE89 3704 0044 0532 0130 00 and DE89 3704 0044 0532 0130 00"
    assert [span.type for span in find(text)] == [Type.IBAN_CODE, Type.IBAN_CODE]


@pytest.mark.parametrize(("kind", "frame", "value"), PERSONAL)
def test_personal_data_is_found_where_it_stands(kind: Type, frame: str, value: str) -> None:
    text = frame.format(value)
    assert [(span.type, text[span.start : span.end]) for span in find(text)] == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "order 4812345678", "Bestellnummer 10023456", "order #2024-00123", "Order no. 0012345678",
        "pedido 1234567890", "订单号 20240115123456", "订单号20240115123456", "注文番号 1234567890",
        "주문번호 1234567890", "Заказ № 1234567", "tracking 1Z999AA10123456784", "SKU 12-3456-789",
        "call me about order 1234567890", "invoice INV-2024-0001", "EAN 4006381333931",
        "2024-01-15", "15.01.2024 12:30", "2019-2020", "12 345 678 €", "1.234.567", "10 000 000",
        "version 1.2.3", "12:30:45", "size 38-40-42", "4111 1111 1111 1112",
        "@anna said hi", "a@b", "I paid 1,299.00 USD", "",
    ],
)  # fmt: skip
def test_order_numbers_dates_and_prices_stay_readable(text: str) -> None:
    assert find(text) == ()


def test_one_value_has_one_mark_and_comes_back() -> None:
    text = "Mail a@b.example, again a@b.example, then c@d.example or +1 415 555 2671."
    masked = mask(text)
    assert masked.text == "Mail ⟦EMAIL_1⟧, again ⟦EMAIL_1⟧, then ⟦EMAIL_2⟧ or ⟦PHONE_1⟧."
    assert restore(masked.text, masked.replacements) == text
    assert restore("We wrote to ⟦ email_1 ⟧.", masked.replacements) == "We wrote to a@b.example."


def test_two_texts_of_one_conversation_share_their_marks() -> None:
    first = mask("I am a@b.example")
    second = mask("Not a@b.example but c@d.example", first.replacements)
    assert second.text == "Not ⟦EMAIL_1⟧ but ⟦EMAIL_2⟧"
    assert restore(first.text, second.replacements) == "I am a@b.example"


def test_a_mark_that_the_customer_typed_is_never_filled() -> None:
    text = "⟦EMAIL_1⟧ is not a@b.example"
    masked = mask(text)
    assert masked.text == "⟦EMAIL_1⟧ is not ⟦EMAIL_2⟧"
    assert restore(masked.text, masked.replacements) == text


def test_a_question_keeps_the_address_of_a_page() -> None:
    text = "Is https://shop.example/sale real?"
    assert mask(text).text == text


def test_a_log_line_keeps_addresses_but_no_secret() -> None:
    line = "postgresql://app:hunter22@db/desk token=abcdef123456 from 127.0.0.1 for x@y.example"
    assert scrub(line) == "postgresql://⟦KEY⟧@db/desk ⟦KEY⟧ from 127.0.0.1 for ⟦EMAIL⟧"


@given(st.text() | st.text(alphabet="0123456789 -.+()@ab:⟦⟧EMAIL_١２", max_size=60))
def test_masking_is_undone_exactly(text: str) -> None:
    masked = mask(text)
    assert restore(masked.text, masked.replacements) == text


@pytest.mark.parametrize(
    "piece", ["1", "a@", "1 ", "AB12 ", "::", "http://", "eyJ", "+(", "a@b.co ", "password=", "0-"]
)
def test_a_hostile_text_is_read_in_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert restore(mask(text).text, mask(text).replacements) == text
