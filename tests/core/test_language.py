"""The language a customer is answered in, over whole conversations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.everyday import learnt
from core import language
from core.adapters.detector import CombinedDetector
from core.language import (
    Choice,
    autonym,
    choose,
    count_letters,
    is_known,
    is_right_to_left,
    language_name,
    named_by,
    normalise_tag,
    requested_language,
    same_language,
    strip_noise,
    without_request,
)

DETECTOR = CombinedDetector()


async def talk(*texts: str, hint: str | None = None, default: str = "en") -> list[Choice]:
    previous: str | None = None
    chosen = False
    choices = []
    for text in texts:
        choice = choose(
            text,
            await DETECTOR.detect(text),
            previous=previous,
            chosen=chosen,
            hint=hint,
            default=default,
        )
        previous, chosen = choice.language, choice.requested
        choices.append(choice)
    return choices


CONVERSATIONS = [
    # a language once shown survives everything that says nothing
    ("Wo ist meine Bestellung?=de ok=de 12345=de 👍=de https://a.example/x=de danke=de", None),
    ("¿Dónde está mi pedido?=es gracias=es ok perfecto=es PayPal=es #A-1234=es", None),
    ("أين طلبي؟=ar ok=ar ORD-2024-001=ar 😀😀=ar", None),
    ("我的订单在哪里？=zh ok=zh iPhone 15=zh 好=zh", None),
    ("我的訂單在哪裡？=zh-Hant 好=zh-Hant ok=zh-Hant 謝謝=zh-Hant", None),
    ("注文はどこですか？=ja OK=ja 123-456=ja", None),
    ("내 주문은 어디에 있나요?=ko hi=ko", None),
    ("Où est ma commande ?=fr merci=fr DHL=fr x@y.example=fr", None),
    ("Где мой заказ?=ru ок=ru хорошо=ru", None),
    ("मेरा ऑर्डर कहाँ है?=hi ok=hi ९८७६=hi", None),
    # a clear change is followed
    ("Wo ist meine Bestellung?=de Can I pay with a credit card instead?=en", None),
    ("Where is my order?=en Можно вернуть деньги за этот заказ?=ru ok=ru", None),
    (
        "Hej, jag vill returnera mina skor=sv Hvornår får jeg mine penge tilbage for ordren?=da",
        None,
    ),
    ("¿Dónde está mi pedido?=es Muito obrigado, já recebi a minha encomenda=pt", None),
    ("Where is my order?=en 我的订单在哪里？=zh", None),
    # a single foreign word is no change
    ("Wo ist meine Bestellung?=de refund=de order status=de hello=de", None),
    ("Gdzie jest moje zamówienie?=pl thanks=pl help=pl", None),
    ("Hoe lang duurt een terugbetaling?=nl retour=nl", None),
    ("Where is my order?=en Rücksendung=en спасибо=ru", None),
    # kanji alone are Japanese where Japanese is spoken, unless only Chinese writes so
    (
        "返品はできますか？=ja 保証期間=ja 電話番号=ja 領収書=ja 営業時間=ja 在庫確認=ja 退货=zh",
        None,
    ),
    ("返金=ja 我的訂單在哪裡？=zh-Hant 保証期間=zh-Hant", "ja-JP"),
    ("請問退貨期限是幾天？=zh-Hant", "ja-JP"),
    ("有没有大一点的尺寸=zh", "ja-JP"),
    ("送信不能=ja 能不能便宜一点=zh", "ja-JP"),
    # a wish stays, whatever is written later
    ("Where is my order?=en in Deutsch bitte=de Where is it now? I waited for days=de", None),
    ("أين طلبي؟=ar answer in English please=en أين هو الآن؟ لقد انتظرت كثيرا=en", None),
    ("hello=en 用中文回答=zh thanks=zh 繁體中文=zh-Hant", None),
    # the platform's hint decides only while nothing else does
    ("12345=fr Bonjour, je voudrais retourner un article=fr", "fr"),
    ("👍=uk Where can I find my invoice?=en", "uk-UA"),
    ("ok=pt", "pt_BR"),
    ("mera order kahan hai=hi", "hi-IN"),
    ("Cum resetez parola?=ro", None),
    ("Cum resetez parola?=de", "de"),
]


@pytest.mark.parametrize(("script", "hint"), CONVERSATIONS)
async def test_a_conversation_is_answered_in_its_language(script: str, hint: str | None) -> None:
    turns = parse(script)
    choices = await talk(*(text for text, _ in turns), hint=hint)
    assert [(turns[i][0], one.language) for i, one in enumerate(choices)] == turns


def parse(script: str) -> list[tuple[str, str]]:
    turns, words = [], list[str]()
    for part in script.split(" "):
        head, sign, tag = part.rpartition("=")
        words.append(head if sign else part)
        if sign:
            turns.append((" ".join(words), tag))
            words = []
    return turns


WISHES = [
    ("en", "answer in English please"), ("en", "English"), ("en", "Can you speak English?"),
    ("de", "in Deutsch bitte"), ("de", "Bitte antworten Sie auf Deutsch."),
    ("es", "en español por favor"), ("es", "¿Puede responder en español?"),
    ("fr", "en français s'il vous plaît"), ("fr", "Parlez-vous français ?"),
    ("it", "Puoi rispondere in italiano?"), ("pt", "Em português, por favor"),
    ("nl", "Graag in het Nederlands"), ("ru", "по-русски пожалуйста"),
    ("uk", "Українською, будь ласка"), ("pl", "po polsku proszę"), ("cs", "česky prosím"),
    ("tr", "Türkçe cevap ver lütfen"), ("ja", "日本語でお願いします"),
    ("ko", "한국어로 답변해 주세요"),
    ("zh", "用中文回答"), ("zh", "请用中文回答我"), ("zh-Hant", "請用繁體中文"),
    ("ar", "بالعربية من فضلك"), ("fa", "لطفا به فارسی"), ("he", "בעברית בבקשה"),
    ("hi", "हिंदी में जवाब दें"), ("vi", "Trả lời bằng tiếng Việt"), ("th", "ตอบเป็นภาษาไทย"),
    ("id", "tolong jawab dalam bahasa Indonesia"), ("sv", "på svenska tack"),
    ("da", "på dansk, tak"), ("no", "kan du svare på norsk"), ("fi", "suomeksi kiitos"),
    ("hu", "magyarul kérem"), ("ro", "în română vă rog"), ("el", "στα ελληνικά παρακαλώ"),
    ("en", "Kannst du bitte auf Englisch antworten?"), ("de", "auf deutsch"),
    ("de", "Where is my parcel? Answer in German please."), ("fr", "en francés por favor"),
    ("en", "English, please. How do I pay?"), ("hi", "mujhe hindi mein jawab do"),
    ("de", "Auf Deutsch bitte, wie lange dauert die Erstattung?"),
    ("fr", "Can you repeat that in French?"), ("fr", "the same in French please"),
    ("de", "Sag das nochmal auf Deutsch"), ("en", "¿me lo puede repetir en inglés?"),
    ("en", "Répète ça en anglais"), ("en", "能不能用英文再说一遍"), ("en", "もう一度英語で"),
    ("en", "то же самое на английском"), ("en", "영어로 다시 말해 주세요"),
    ("pl", "czy mówicie po polsku?"), ("ko", "한국어 가능한가요?"), ("ja", "日本語できますか？"),
    ("tr", "Türkçe konuşabilir misiniz"), ("uk", "розмовляєте українською?"),
    ("pt", "vcs falam português?"), ("es", "¿habláis español?"), ("it", "parlate italiano?"),
    ("nl", "spreekt u Nederlands?"), ("de", "Sprecht ihr Deutsch?"), ("zh", "你会说中文吗"),
    ("ar", "هل تتكلم العربية؟"), ("hi", "hindi me batao"), ("fi", "Puhutteko suomea?"),
]  # fmt: skip


@pytest.mark.parametrize(("tag", "text"), WISHES)
async def test_a_wish_in_words_sets_the_language_for_good(tag: str, text: str) -> None:
    first, later = await talk(text, "Where is my order? I have waited for two weeks.")
    assert first == Choice(language=tag, sure=True, requested=True)
    assert later == first


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Auf Deutsch bitte, wie lange dauert das?", "wie lange dauert das?"),
        ("Auf Englisch bitte! Wie bezahle ich?", "Wie bezahle ich?"),
        ("Where is my order, in English please", "Where is my order"),
        ("请用中文回答，我的包裹在哪里？", "我的包裹在哪里？"),
        ("日本語でお願いします、返金はいつですか", "返金はいつですか"),
        ("بالعربية من فضلك، أين طلبي؟", "أين طلبي؟"),
        ("हिंदी में जवाब दें, रिफंड कब?", "रिफंड कब?"),
        ("In English: is www.shop.com/me open at 8.30?", "is www.shop.com/me open at 8.30?"),
        ("Could you answer me, please, in German?", ""),
        ("in Deutsch bitte", ""),
        ("Is the manual available in German?", "Is the manual available in German?"),
        ("You and me, please", "You and me, please"),
        ("Can I use it again? In English please", "Can I use it again?"),
        ("Can I repeat it? In German please.", "Can I repeat it?"),
        ("Can you repeat that? In German please.", ""),
    ],
)
def test_what_is_said_beside_a_wish_for_a_language_remains(text: str, rest: str) -> None:
    assert without_request(text) == rest


@pytest.mark.parametrize(
    "text",
    [
        "Is the manual available in German?",
        "Do you have that in German?",
        "Ist das auf Deutsch?",
        "你们有中文的吗",
        "日本語の説明書はありますか",
        *("Can you polish it", "please polish this again", "i want the same danish again"),
        *("Can I repeat English?", "可以写英文吗", "英語を教えて", "英語を教えてもらえますか"),
        *("フランス語は可能ですか", "это на английском?", "на английском ли это", "это по-русски?"),
        *("هل هذا بالعربية", "apakah itu bahasa inggris?", "kya yeh hindi hai?"),
        "I bought a French press and it leaks",
        "Do not answer in English",
        "English or German?",
        "Ich habe ein spanisches Wörterbuch bestellt",
        "Versand nach Österreich",
        "la ensalada rusa",
        "in",
        "",
    ],
)
def test_a_language_that_is_only_mentioned_is_no_wish(text: str) -> None:
    assert requested_language(text) is None


@given(
    st.text(
        alphabet=st.one_of(
            st.characters(categories=("N", "P", "S", "Z", "Cc", "Cf", "Mn")),
            st.sampled_from("0123456789 .,!?👍😀🏳️‍🌈\u200d\u202e\u200b٠١٢९८"),
        ),
        max_size=80,
    ),
    st.sampled_from(["de", "zh-Hant", "ar", "pt-BR"]),
)
def test_text_without_letters_never_switches(text: str, previous: str) -> None:
    guesses = [("en", 1.0)]
    choice = choose(text, guesses, previous=previous, chosen=False, hint="fr", default="en")
    assert choice == Choice(language=previous, sure=True)


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example/en/orders?id=12",
        "anna.meier@example.org",
        "ORD-2024-0001 A1B2C3",
        "`kubectl get pods --all-namespaces`",
        "<https://shop.example|our shop> <@U024BE7LH>",
        ":thumbsup: @anna",
        "⟦EMAIL_1⟧ ⟦PHONE_2⟧",
        "www.example.com/returns",
    ],
)
def test_links_addresses_code_and_numbers_hold_no_letters(text: str) -> None:
    assert count_letters(text) == 0
    assert strip_noise(f"Hallo {text} Welt") == "Hallo Welt"


async def test_an_unsure_first_message_gets_the_default_with_a_choice() -> None:
    for text in ("asdf", "12345", "👍", "ok", "iPhone 15"):
        (choice,) = await talk(text, default="de")
        assert choice == Choice(language="de", sure=False), text


async def test_a_first_message_is_answered_in_its_likeliest_language_with_a_choice() -> None:
    (choice,) = await talk("Cum resetez parola?")
    assert choice == Choice(language="ro", sure=False)


@pytest.mark.parametrize("language", ["de", "hi", "id", "it", "pt", "ro", "uk"])
async def test_nearly_all_that_every_desk_is_asked_is_answered_in_its_language(
    language: str,
) -> None:
    asked = [query for of, query in learnt() if of == language]
    answered = [(await talk(query, default="en"))[0].language for query in asked]
    assert sum(same_language(one, language) for one in answered) >= 0.94 * len(asked)


async def test_an_unsupported_language_is_answered_in_the_default_with_a_choice() -> None:
    text = "Πού είναι η παραγγελία μου;"
    guesses = await DETECTOR.detect(text)
    choice = choose(
        text,
        guesses,
        previous=None,
        chosen=False,
        hint=None,
        default="en",
        supported=("en", "de"),
    )
    assert choice == Choice(language="en", sure=False)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("deu", "de"), ("ger", "de"), ("DE", "de"), ("nb", "no"), ("nob", "no"), ("nn", "nn"),
        ("zh-Hans-CN", "zh"), ("zho-TW", "zh-Hant"), ("zh_HK", "zh-Hant"), ("cmn", "zh"),
        ("pt_br", "pt-BR"), ("por-BR", "pt-BR"), ("srp-Cyrl", "sr"), ("arb", "ar"), ("arz", "ar"),
        ("prs", "fa"), ("swh", "sw"), ("iw", "he"), ("fil", "tl"), ("eng-GB", "en-GB"),
        ("ckb-Arab", "ckb"), ("es-419", "es-419"), ("tlh", "tlh"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_code_becomes_one_tag(code: str, tag: str) -> None:
    assert normalise_tag(code) == tag
    assert normalise_tag(tag) == tag


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("de", "de"),
        ("DEU", "de"),
        ("pt_br", "pt-BR"),
        ("zh-tw", "zh-Hant"),
        ("ast", "ast"),
        ("jp", "ja"),
        ("UA", "uk"),
        ("cz", "cs"),
        ("kr", "ko"),
        ("cn", "zh"),
        ("gr", "el"),
        ("dk", "da"),
        ("xx", None),
        ("qq-DE", None),
        ("german", None),
        ("", None),
    ],
)
def test_a_code_that_somebody_gives_names_a_language_we_know_or_none(
    code: str, tag: str | None
) -> None:
    assert named_by(code) == tag


def test_what_the_code_of_a_country_stands_for_is_known_and_has_a_name() -> None:
    for tag in language._OF_COUNTRIES.values():
        assert is_known(tag)
        assert normalise_tag(tag) == tag
        assert autonym(tag) != tag


def test_regions_are_one_language_and_chinese_scripts_are_two() -> None:
    assert same_language("pt-BR", "por")
    assert same_language("zh-CN", "zh-Hans")
    assert not same_language("zh-TW", "zh")
    assert not same_language("da", "no")


def test_languages_know_their_name_and_direction() -> None:
    names = {tag: autonym(tag) for tag in ("de", "zh", "zh-Hant", "ar", "pt-BR", "tlh")}
    assert names == {
        "de": "Deutsch",
        "zh": "中文",
        "zh-Hant": "繁體中文",
        "ar": "العربية",
        "pt-BR": "Português",
        "tlh": "tlh",
    }
    assert all(map(is_right_to_left, ("ar", "fa-IR", "he", "ur", "ku-Arab")))
    assert not any(map(is_right_to_left, ("de", "az-Latn", "zh", "tlh")))


def test_a_language_is_named_as_its_reader_calls_it() -> None:
    assert language_name("en", "de") == "Englisch"
    assert language_name("de", "ja") == "ドイツ語"
    assert language_name("zh-Hant", "en") == "Chinese (Traditional)"
    assert language_name("de", "tlh") == "German"
    assert language_name("zh", "zh-TW") == "中文 (簡體)"
    assert language_name("zh", "zh") == "中文"
    assert language_name("und", "de") == "Unbekannte Sprache"
    assert language_name("tl", "en") == "Tagalog"
    # A name, but no locale.
    assert language_name("la", "en") == "Latin"
    assert [language_name(tag, "en") for tag in ("tlh", "", "../..", "x\0y")] == [
        "Klingon", "", "../..", "x\0y"
    ]  # fmt: skip


def test_a_hostile_text_is_read_in_time() -> None:
    for text in ("a" * 1_000_000, "a." * 500_000, "@" * 500_000, "`" * 500_001, "<a" * 500_000):
        assert requested_language(text) is None
        count_letters(text)
