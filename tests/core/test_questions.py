"""Messages that ask half a question, several, or one beside other things."""

import pytest

from core.questions import Question, is_ellipsis, leans_on_context, questions


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "I bought a tent last week. Where is my parcel? Can I pay by transfer? Thanks a lot.",
            (
                Question("I bought a tent last week. Where is my parcel?", "Where is my parcel?"),
                Question("Can I pay by transfer? Thanks a lot.", "Can I pay by transfer?"),
            ),
        ),
        (
            "Wo bleibt mein Paket? Und kann ich auf Rechnung zahlen?",
            (Question("Wo bleibt mein Paket?"), Question("Und kann ich auf Rechnung zahlen?")),
        ),
        (
            "荷物はどこですか？返品の送料はいくらですか？",
            (Question("荷物はどこですか？"), Question("返品の送料はいくらですか？")),
        ),
        (
            "أين طردي الآن؟ كيف أدفع بالبطاقة؟",
            (Question("أين طردي الآن؟"), Question("كيف أدفع بالبطاقة؟")),
        ),
        (
            "Why? Where is my parcel? Can I send back shoes (worn once)?",
            (Question("Why? Where is my parcel?"), Question("Can I send back shoes (worn once)?")),
        ),
        (
            "先週テントを注文しました。いつ届きますか？",
            (Question("先週テントを注文しました。いつ届きますか？", "いつ届きますか？"),),
        ),
        # What says too little by itself belongs to what stands before it.
        ("My tent has a hole. What now?", (Question("My tent has a hole. What now?"),)),
        (
            "What does shipping a bicycle cost? And to Canada?",
            (Question("What does shipping a bicycle cost? And to Canada?"),),
        ),
        (
            "I moved. What does shipping a bicycle cost? How much?",
            (
                Question(
                    "I moved. What does shipping a bicycle cost? How much?",
                    "What does shipping a bicycle cost? How much?",
                ),
            ),
        ),
        ("Where is my parcel?", (Question("Where is my parcel?"),)),
        # Where nothing is asked, what is wanted stands last.
        (
            "My parcel is late. I want my money back.",
            (Question("My parcel is late. I want my money back.", "I want my money back."),),
        ),
        ("My parcel is late. Help.", (Question("My parcel is late. Help."),)),
        ("My parcel is late", (Question("My parcel is late"),)),
        ("", (Question(""),)),
        ("??? ??", ()),
        ("Is the red tent here? Is the blue tent here? A green tent? A black tent?", ()),
    ],
)
def test_each_question_is_told_with_and_without_what_stands_around_it(
    text: str, parts: tuple[Question, ...]
) -> None:
    assert questions(text) == parts


@pytest.mark.parametrize(
    "text",
    ["and to Canada?", "And for shoes?", "und nach Kanada?", "那加拿大呢？", "shoes?", "Y a Perú?"],
)
def test_half_a_question_leans_on_the_one_before(text: str) -> None:
    assert leans_on_context(text)


@pytest.mark.parametrize(
    "text",
    [
        "Do you sell mountain bikes?",
        "How do I return an item?",
        "Wie lange dauert der Versand nach Kanada?",
        "android phone charging cable",
        "送到加拿大需要多长时间？",
    ],
)
def test_a_whole_question_does_not(text: str) -> None:
    assert not leans_on_context(text)


def test_only_a_very_short_follow_up_makes_no_sense_by_itself() -> None:
    assert is_ellipsis("Et pour un vélo ?")
    assert is_ellipsis("那自行车呢？")
    assert not is_ellipsis("E o boleto, vence em quantos dias?")
    assert not is_ellipsis("shoes?")


@pytest.mark.parametrize(
    ("whole", "half"),
    [
        ("And where is my parcel?", "and when?"),
        ("and how do I cancel my order?", "and what about orders?"),
        ("Und wie kann ich zahlen?", "Und wie ist es mit Zahlungen?"),
        ("¿y cómo pago?", "¿y con PayPal?"),
        ("а скільки коштує доставка", "а доставка?"),
        ("और मेरा पार्सल कहाँ है?", "और पार्सल?"),
        ("那运费多少？", "那多少？"),
        ("but how can I come on Sunday?", "And does it come in blue?"),
        ("а как отменить заказ?", "а как насчёт велосипеда?"),
        ("а як повернути товар?", "а як щодо велосипеда?"),
        ("e quanto custa o frete?", "e quanto à bicicleta?"),
        ("¿y cuánto cuesta el envío?", "y en cuanto a la bicicleta?"),
        ("e come posso pagare il pacco?", "e come regalo?"),
        ("e como faço a devolução?", "e como convidado?"),
        ("lalu bagaimana membatalkan pesanan?", "lalu bagaimana dengan sepeda?"),
        ("und wie storniere ich Bestellungen?", "und wie steht es mit Fahrrädern?"),
        ("en hoe betaal ik facturen?", "en hoe dan met fietsen?"),
        ("peki nasıl iptal ederim?", "peki bisiklet nasıl?"),
    ],
)
def test_a_question_word_and_what_it_is_about_make_sense_by_themselves(
    whole: str, half: str
) -> None:
    assert is_ellipsis(half)
    assert not is_ellipsis(whole)
