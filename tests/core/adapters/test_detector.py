"""The real models on real sentences."""

import asyncio
import time

import pytest

from core.adapters.detector import CombinedDetector

DETECTOR = CombinedDetector()

SENTENCES = [
    ("en", "Where is my order?"), ("de", "Wo ist meine Bestellung?"),
    ("fr", "Où est ma commande ?"), ("es", "¿Dónde está mi pedido?"),
    ("pt", "Onde está o meu pedido?"), ("it", "Dov'è il mio ordine?"),
    ("nl", "Waar is mijn bestelling?"), ("sv", "Var är min beställning?"),
    ("da", "Hvordan kan jeg betale min regning?"), ("no", "Jeg har ikke fått pakken min ennå."),
    ("fi", "Missä tilaukseni on?"), ("pl", "Gdzie jest moje zamówienie?"),
    ("cs", "Kde je moje objednávka?"), ("hu", "Hol van a rendelésem?"),
    ("ro", "Unde este comanda mea?"), ("tr", "Siparişim nerede?"),
    ("id", "Di mana pesanan saya?"), ("vi", "Đơn hàng của tôi ở đâu?"),
    ("ru", "Где мой заказ?"), ("uk", "Де моє замовлення?"), ("bg", "Къде е моята поръчка?"),
    ("ar", "أين طلبي؟"), ("fa", "سفارش من کجاست؟"), ("ur", "میرا آرڈر کہاں ہے؟"),
    ("hi", "मेरा ऑर्डर कहाँ है?"), ("he", "איפה ההזמנה שלי?"), ("el", "Πού είναι η παραγγελία μου;"),
    ("ja", "注文はどこですか？"), ("ko", "내 주문은 어디에 있나요?"), ("th", "คำสั่งซื้อของฉันอยู่ที่ไหน"),
    ("zh", "我的订单在哪里？"), ("zh-Hant", "我的訂單在哪裡？"), ("yue", "我啲嘢幾時送到呀？"),
    ("ka", "სად არის ჩემი შეკვეთა?"), ("hy", "Որտե՞ղ է իմ պատվերը:"), ("ta", "எனது ஆர்டர் எங்கே?"),
    ("bn", "আমার অর্ডার কোথায়?"), ("am", "ትዕዛዜ የት ነው?"), ("ti", "እቲ ዝኣዘዝክዎ ኣበይ ኣሎ?"),
    ("sw", "Agizo langu liko wapi? Nataka kujua ni lini litafika hapa."),
    ("af", "Waar is my bestelling? Ek wag al baie lank vir dit."),
    ("ha", "Ina kayan da na saya? Na jira su har kwana goma amma ba su zo ba."),
    ("zu", "Ngicela ukwazi ukuthi iphi imali yami ngoba sengilinde isikhathi eside."),
    ("yo", "Níbo ni ọjà tí mo rà wà? Mo ti ń dúró fún un láti ọjọ́ mẹ́ta."),
]  # fmt: skip


@pytest.mark.parametrize(("tag", "text"), SENTENCES)
async def test_a_sentence_is_recognised(tag: str, text: str) -> None:
    guesses = await DETECTOR.detect(text)
    assert guesses[0][0] == tag
    assert all(0 < p <= 1 for _, p in guesses)
    assert sum(p for _, p in guesses) <= 1.001
    assert [p for _, p in guesses] == sorted((p for _, p in guesses), reverse=True)


@pytest.mark.parametrize(
    "text", ["", "   ", "12345", "👍🏽", "https://a.example/b", "\x00\u202e\n", "٣٤٥"]
)
async def test_text_without_words_has_no_language(text: str) -> None:
    assert await DETECTOR.detect(text) == ()


async def test_characters_of_both_written_forms_leave_chinese_open() -> None:
    assert [tag for tag, _ in await DETECTOR.detect("你好")] == ["zh", "zh-Hant"]


async def test_the_same_words_in_capitals_are_the_same_language() -> None:
    assert (await DETECTOR.detect("WO IST MEINE BESTELLUNG?"))[0][0] == "de"


async def test_a_foreign_name_in_it_does_not_turn_a_text() -> None:
    assert (await DETECTOR.detect("我想退回 iPhone 15 Pro Max"))[0][0] == "zh"
    assert (await DETECTOR.detect("Das Zeichen 漢 fehlt auf meiner Tastatur"))[0][0] == "de"


async def test_many_at_once_on_a_cold_detector_agree() -> None:
    cold = CombinedDetector()
    found = await asyncio.gather(*(cold.detect("Wo ist meine Bestellung?") for _ in range(20)))
    assert {guesses[0][0] for guesses in found} == {"de"}


async def test_a_megabyte_costs_no_more_than_a_page() -> None:
    await DETECTOR.detect("warm")
    started_s = time.process_time()
    for text in ("Wo ist meine Bestellung? " * 40_000, "漢" * 1_000_000, "a" * 1_000_000):
        await DETECTOR.detect(text)
    assert time.process_time() - started_s < 0.5
