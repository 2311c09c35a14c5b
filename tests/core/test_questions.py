"""Messages that ask several things, or tell something besides."""

import pytest

from core.questions import Question, questions


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
