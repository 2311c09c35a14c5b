"""Anger is heard in every promised language, and calm customers are not taken for angry ones."""

import pytest

from core.tones import Tone, tone

UPSET = {
    "en": ("You are useless!!!", "This is ridiculous, I want my money back", "It's really urgent"),
    "de": ("Ihr seid unfähig", "So eine Frechheit!", "Bitte, es ist sehr dringend"),
    "fr": ("Bande d'incapables !", "C'est inadmissible.", "C'est très urgent svp"),
    "es": ("Sois unos ladrones", "Qué vergüenza, estoy harta", "Es muy urgente por favor"),
    "pt": ("Vocês são uns ladrões", "Que absurdo, péssimo atendimento", "É urgente!"),
    "it": ("Siete dei ladri", "È una vergogna, sono stufo", "È molto urgente"),
    "nl": ("Jullie zijn oplichters", "Dit is belachelijk", "Het is dringend!"),
    "ru": ("Вы мошенники!", "Это возмутительно, сколько можно", "Очень срочно"),
    "uk": ("Ви шахраї!", "Це неподобство", "Дуже терміново, будь ласка"),
    "pl": ("Jesteście oszustami", "To skandal, mam dość", "To bardzo pilne"),
    "tr": ("Aptal mısınız siz", "Bu ne rezalet, bıktım artık", "Çok acil lütfen"),
    "id": ("Dasar penipu", "Sangat mengecewakan", "Ini mendesak"),
    "vi": ("Đồ lừa đảo", "Tôi rất thất vọng, quá đáng", "Việc này rất gấp"),
    "ar": ("أنتم لصوص", "هذا غير مقبول", "الأمر عاجل جدًا"),
    "hi": ("आप लोग चोर हैं", "बहुत निराश हूँ", "बहुत ज़रूरी है"),
    "zh": ("你们是骗子", "服务太差了，我很生气", "非常紧急，在线等"),
    "zh-Hant": ("垃圾機器人", "態度惡劣，我要投訴", "情況緊急"),
    "ja": ("ふざけんな", "最悪の対応です", "大至急お願いします"),
    "ko": ("쓸모없는 봇", "정말 어이가 없네요", "너무 급해요"),
}
CALM = {
    "en": (
        "It's not urgent.",
        "What is your emergency number?",
        "Is express delivery urgent post?",
    ),
    "de": ("Es ist nicht dringend.", "Gibt es einen Notfallkontakt?", "Ich habe es eilig getippt"),
    "fr": ("Ce n'est pas urgent.", "Numéro en cas d'urgence ?", "Envoyez-le à mon amie Connie"),
    "es": ("No es urgente.", "¿Hacen envíos urgentes?", "Trabajo con mi hermano"),
    "pt": ("Não é urgente.", "Fazem entrega urgente?", "O burro de carga é um carrinho"),
    "it": ("Non è urgente.", "Fate consegne urgenti?", "Mi fa male la spalla"),
    "nl": ("Het is niet dringend.", "Ik heb geen haast", "Leveren jullie met spoed?"),
    "ru": ("Это не срочно.", "Есть срочная доставка?", "Воры украли мой телефон"),
    "uk": ("Це не терміново.", "Є термінова доставка?", "Злодії вкрали мій телефон"),
    "pl": ("To nie jest pilne.", "Czy jest pilna wysyłka?", "Złodzieje ukradli mi telefon"),
    "tr": ("Acil değil.", "Acil kargo var mı?", "Hırsızlar telefonumu çaldı"),
    "id": ("Tidak mendesak.", "Apakah ada makanan anjing?", "Apakah ada nomor darurat?"),
    "vi": ("Không gấp.", "Bật chế độ ngủ thế nào?", "Bàn có gấp lại được không?"),
    "ar": ("ليس عاجلا", "هل لديكم شحن عاجل؟", "هل لديكم طعام كلاب؟"),
    "hi": ("अर्जेंट नहीं है", "क्या आपातकालीन नंबर है?", "मुझे गधे का खिलौना चाहिए था"),
    "zh": ("不急，慢慢来", "紧急联系人怎么改？", "急救包有货吗？"),
    "zh-Hant": ("不急，慢慢來", "緊急聯絡人怎麼改？", "急救包有貨嗎？"),
    "ja": ("急ぎではありません", "緊急連絡先を変更したい", "バッグはどこですか"),
    "ko": ("급하지 않아요", "긴급 연락처를 바꾸고 싶어요", "급여는 언제 나오나요"),
}


@pytest.mark.parametrize("language", UPSET)
def test_an_upset_customer_is_heard(language: str) -> None:
    heard = [tone(text) for text in UPSET[language]]
    assert heard == [Tone.INSULT, Tone.NEGATIVE, Tone.URGENT]


@pytest.mark.parametrize("language", CALM)
def test_a_calm_customer_is_not_taken_for_an_upset_one(language: str) -> None:
    heard = {text: tone(text) for text in CALM[language]}
    assert set(heard.values()) == {Tone.CALM}, heard


@pytest.mark.parametrize(
    "text",
    [
        "WHERE IS MY PARCEL!!",
        "ГДЕ МОЯ ПОСЫЛКА!!!",
        "soooo disappointed",
        "I have had enough, I’M FURIOUS",
        "هٰذا غير مقبول",
    ],
)
def test_shouting_and_drawn_out_words_are_heard(text: str) -> None:
    assert tone(text) is Tone.NEGATIVE


@pytest.mark.parametrize(
    "text",
    [
        *("that doesn't help", "Das hilft mir nicht", "ça ne m'aide pas", "eso no me sirve"),
        *("Isso não ajuda", "questo non aiuta", "dat helpt niet", "это не помогает"),
        *("Це не допомагає", "to mi nie pomaga", "yardımcı olmadı", "tidak membantu sama sekali"),
        *("không giúp được gì", "هذا لا يساعدني", "इससे मदद नहीं मिली", "根本没用", "根本沒用"),
        *("役に立ちません", "도움이 안 돼요", "bakwas service hai paise wapas karo"),
        *("😡", "where is my parcel 😠", "👎🏽", "Thanks for nothing", "danke für nichts"),
    ],
)
def test_who_was_not_helped_is_heard(text: str) -> None:
    assert tone(text) is Tone.NEGATIVE


@pytest.mark.parametrize(
    "text",
    [
        "一次都还没用过呢",
        "demain ça ne sert à rien",
        "kod artık işe yaramıyor",
        "paise wapas kab milenge",
        *("Haben Sie Kamine im Sortiment?", "beef harami?", "没有帮助页面吗"),
        *("这没用过的商品可以退吗？", "这没有用完的优惠券还能用吗？", "這沒用過的可以退嗎"),
        *("El pantalón no me sirvió, ¿cómo lo cambio?", "Esto no me sirve, ¿puedo devolverlo?"),
        *("Isso não serve em mim, posso trocar?", "Il codice non è utile dopo la scadenza?"),
        *("What if this doesn't help?", "Neustart hilft nicht weiter, was nun?"),
        *("Et si ça n'aide pas ?", "¿Qué hago si el manual no me ayuda?"),
        *("Se il reset non mi aiuta, cosa faccio?", "Что делать, если это не помогает?"),
        *("Co zrobić, jeśli to nie pomaga?", "もし再起動が役に立たない場合は？"),
        *("a 👎 icon appears, what does it mean?", "Wie viele 👎 hat mein Beitrag?"),
    ],
)
def test_what_a_product_does_not_do_is_no_anger(text: str) -> None:
    assert tone(text) is Tone.CALM


@pytest.mark.parametrize(
    "text",
    ["", "!!!", "OK!!", "SKU AB-1 XL!!", "THANK YOU!!", "where is my parcel!!!", "我的订单！！！"],
)
def test_emphasis_alone_is_no_anger(text: str) -> None:
    assert tone(text) is Tone.CALM


def test_a_long_story_takes_no_time() -> None:
    assert tone("calm words " * 100_000) is Tone.CALM
