"""A translator that knows some sentences by heart."""

import re
from collections.abc import Mapping, Sequence

from core.errors import Rejected
from core.phrases import Phrase, say
from core.translation import BRACKETS

_MARK = re.compile(f"[{BRACKETS[0]}][^{BRACKETS[-1]}]*[{BRACKETS[-1]}]")
# By what is written: its translations. As agents and customers of three tongues might speak.
SENTENCES: Mapping[str, Mapping[str, str]] = {
    "Hello, my order SD-48213 has still not arrived. Can you help me?": {
        "de": "Hallo, meine Bestellung SD-48213 ist noch immer nicht da. Können Sie mir helfen?",
        "ar": "مرحبًا، لم يصل طلبي SD-48213 بعد. هل يمكنكم مساعدتي؟",
        "ja": "こんにちは。注文 SD-48213 がまだ届きません。助けていただけますか？",
    },
    "注文 SD-48213 がまだ届きません。担当者と話したいです。": {
        "en": "Order SD-48213 has not arrived yet. I would like to talk to a person.",
        "de": "Die Bestellung SD-48213 ist noch nicht da. Ich möchte mit jemandem sprechen.",
        "ar": "لم يصل الطلب SD-48213 بعد. أريد التحدث إلى شخص.",
        "zh": "订单 SD-48213 还没有到。我想和人工客服谈谈。",
    },
    "ありがとうございます！": {
        "en": "Thank you!",
        "de": "Vielen Dank!",
        "ar": "شكرًا جزيلاً!",
        "zh": "谢谢！",
    },
    "I have asked the carrier: it arrives tomorrow before 18:00.": {
        "ja": "運送会社に確認しました。明日 18:00 までに届きます。",
        "de": "Ich habe beim Versender nachgefragt: Sie kommt morgen vor 18:00.",
    },
    "Ich habe beim Versender nachgefragt: Sie kommt morgen vor 18:00.": {
        "ja": "運送会社に確認しました。明日 18:00 までに届きます。",
    },
    "سألت شركة الشحن: سيصل غدًا قبل 18:00.": {
        "ja": "運送会社に確認しました。明日 18:00 までに届きます。",
    },
    "我已向承运商确认：明天 18:00 前送达。": {
        "ja": "運送会社に確認しました。明日 18:00 までに届きます。",
    },
    "¿La silla infantil Velora 300 cabe en la bicicleta Trekker 7?": {
        "en": "Does the Velora 300 child seat fit on the Trekker 7 bike?",
    },
    "Yes, the Velora 300 child seat fits on the Trekker 7 bike, with the adapter VA-22.": {
        "es": "Sí, la silla infantil Velora 300 cabe en la Trekker 7, con el adaptador VA-22.",
    },
    "¡Muchas gracias!": {"en": "Thank you very much!"},
}


class Phrasebook:
    """Translates what it knows, marks for what must not change included."""

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str]:
        return [translated(text.strip(), source, target) for text in texts]


def translated(text: str, source: str, target: str) -> str:
    """The sentence in which marks stand for some of its words, in the other language."""
    for phrase in Phrase:
        # What the bot says is known in every language anyhow.
        if "{" not in phrase and text == say(phrase, source):
            return say(phrase, target)
    marks = _MARK.findall(text)
    form = "(.+?)".join(re.escape(piece) for piece in _MARK.split(text))
    for sentence, translations in SENTENCES.items():
        known = re.fullmatch(form, sentence)
        said = translations.get(target.partition("-")[0])
        if known and said:
            for mark, word in zip(marks, known.groups(), strict=True):
                said = said.replace(word, mark)
            return said
    raise Rejected(f"{source} to {target}")
