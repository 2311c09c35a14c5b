"""Calls for a person, greetings and thanks in the languages that customers write."""

import time

import pytest

from core.wishes import (
    Wish,
    begins_with_thanks,
    courtesy_languages,
    place_named,
    wish,
    without_courtesies,
)

PERSON = [
    "I want to talk to a human",
    "Can I speak with a real person please?",
    "Connect me to an agent!",
    "human please",
    "I don't want a bot, I want a human",
    "customer service representative",
    "Ich möchte mit einem Menschen sprechen",
    "Bitte verbinden Sie mich mit einem Mitarbeiter.",
    "Kann ich mit einem echten Kundenberater reden?",
    "Mitarbeiter bitte",
    "Je veux parler à un humain",
    "Puis-je parler avec un conseiller ?",
    "Quiero hablar con una persona",
    "¿Puedo hablar con un agente?",
    "humano por favor",
    "Quero falar com um atendente",
    "Posso falar com uma pessoa de verdade?",
    "Vorrei parlare con un operatore",
    "Ik wil graag met een medewerker spreken",
    "Kan ik praten met een mens?",
    "Хочу поговорить с оператором",
    "Соедините меня с живым человеком, пожалуйста",
    "оператор",
    "Хочу поговорити з людиною",
    "З'єднайте мене з оператором",
    "Chcę porozmawiać z człowiekiem",
    "Proszę o połączenie z konsultantem",
    "Bir insanla görüşmek istiyorum",
    "Müşteri temsilcisi ile konuşmak istiyorum",
    "Tôi muốn nói chuyện với nhân viên",
    "Cho tôi gặp người thật",
    "Saya mau bicara dengan orang",
    "Tolong hubungkan saya dengan petugas",
    "أريد التحدث مع موظف",
    "حولني إلى شخص حقيقي من فضلك",
    "मुझे किसी इंसान से बात करनी है",
    "एजेंट से बात कराइए",
    "转人工",
    "我要找人工客服",
    "轉真人客服",
    "人工客服",
    "オペレーターと話したいです",
    "担当者につないでください",
    "有人対応お願いします",
    "상담원 연결해 주세요",
    "사람과 통화하고 싶어요",
    "No, I want to talk to a human!",
    "i need help contacting a live agent",
    "Hello, can I chat with somebody?",
    "Hi, agent please",
    "Verbinden Sie mich bitte direkt mit einem Menschen",
    "Passez-moi un conseiller, s'il vous plaît",
    "No quiero hablar con un robot, páseme con una persona",
    "No, quiero hablar con una persona",
    "Quero atendimento humano",
    "Mi può passare un operatore?",
    "Ik wil graag een medewerker spreken.",
    "Соедините меня, пожалуйста, с живым оператором.",
    "Позовите менеджера",
    "Будь ласка, з'єднайте мене з живою людиною.",
    "poprosze konsultanta",
    "Lütfen beni bir müşteri temsilcisine bağlayın.",
    "Cho tôi gặp nhân viên hỗ trợ, tôi không muốn nói chuyện với máy.",
    "Tolong sambungkan saya dengan petugas layanan pelanggan.",
    "حولني لموظف لو سمحت",
    "कृपया मेरी बात किसी कर्मचारी से कराइए।",
    "请帮我转人工客服",
    "我想找个真人聊聊",
    "担当者の方とお話ししたいのですが。",
    "人と話したい",
    "상담원과 직접 이야기하고 싶어요.",
    "no bot please",
    "No robots!",
    "Kein Bot bitte",
    "Не бот, пожалуйста",
    "不要机器人",
    "I want to contact a person",
    "contact person please",
    "เจ้าหน้าที่",
    "ขอคุยกับเจ้าหน้าที่ครับ",
    "Θέλω να μιλήσω με έναν εκπρόσωπο",
    "άνθρωπο, παρακαλώ",
    "נציג אנושי בבקשה",
    "אני רוצה לדבר עם נציג",
    "תעבירו אותי לנציג",
    "kisi insaan se baat karao",
    "mujhe agent se baat karni hai",
    "order cancel karo aur agent se baat karao",
]

QUESTIONS = [
    "I want to return to a person",
    "I want to return the shoes to the person who sold them",
    "Can I transfer my ticket to another person?",
    "How many people can use one account?",
    "I do not want to talk to a person, just tell me the price",
    "Do you sell human hair wigs?",
    "What does your agent cost?",
    "My real estate agent needs an invoice",
    "Wie viele Personen passen in das Zelt?",
    "Ich will nicht mit einem Menschen sprechen, wie lange dauert der Versand?",
    "Ein Mitarbeiter hat mir gestern eine Rechnung geschickt, wo finde ich sie?",
    "Combien de personnes peuvent utiliser la tente ?",
    "¿Cuántas personas caben en la tienda?",
    "Quantas pessoas cabem na barraca?",
    "Per quante persone è la tenda?",
    "Сколько человек помещается в палатку?",
    "Ile osób zmieści się w namiocie?",
    "Bu çadır kaç insan için?",
    "Lều này cho bao nhiêu người?",
    "Tenda ini untuk berapa orang?",
    "كم شخصًا تتسع الخيمة؟",
    "यह टेंट कितने व्यक्ति के लिए है?",
    "人工智能是什么？",
    "请不要转人工，告诉我价格",
    "这个是人工皮革吗？",
    "这顶帐篷能住几个人？",
    "人間工学に基づいた椅子はありますか？",
    "이 텐트는 몇 사람이 쓸 수 있나요?",
    "Hi, where is my order?",
    "Thanks, but how do I return it?",
    "Danke, und wie lange dauert das?",
    "你好，我的订单在哪里？",
    "Can I transfer it to another person?",
    "I want a real leather bag for someone special",
    "I need to talk to my manager before I buy",
    "Ich möchte die Rechnung an einen Kollegen weiterleiten",
    "Kann eine andere Person das Paket abholen?",
    "¿Qué pasa con la persona que recoge el paquete?",
    "Quero uma barraca para uma pessoa",
    "Как передать посылку другому человеку?",
    "मुझे किसी और रंग का टेंट चाहिए",
    "需要人工安装吗？",
    "スタッフの対応は何時までですか？",
    "사람 몇 명이 필요합니까?",
    "Customer service, where is my parcel?",
    "Hello Kitty tent",
    "Good morning delivery",
    "Is it ok to wash the jacket?",
    "thank you card",
    "no refund",
    "Bonjour, mon colis est arrivé endommagé.",
    "oi, blz? queria trocar o tamanho da jaqueta",
    "好的自行车多少钱？",
    "你好，退货要多久？",
    "有没有折扣？",
    "はい、でも送料はいくらですか？",
    "네 그런데 배송비는 얼마예요?",
    "12345",
    "Can I change the contact person on my order?",
    "Who is the contact person?",
    "How do I contact the carrier agent?",
    "Do you sell a robot? No robot, no sale",
    "ติดต่อเจ้าหน้าที่ขนส่งอย่างไร",
    "πόσους ανθρώπους χωράει η σκηνή;",
    "לכמה אנשים האוהל?",
    "yes, where is my order?",
    "Goodbye Kitty tent",
    "Ja, und wie bezahle ich?",
    "kisi dusre device se connect kaise kare",
    "kisi aur ke account se jodna hai",
    "agent portal se connect nahi ho raha",
    "manager app se connect",
    "kya mai kisi ko bula sakta hu party me",
    "dusre agent se baat karne ka charge",
    "Executive please",
]


@pytest.mark.parametrize("text", PERSON)
def test_a_call_for_a_person_is_heard(text: str) -> None:
    assert wish(text) is Wish.PERSON


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_that_merely_sounds_alike_stays_a_question(text: str) -> None:
    assert wish(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "HI",
        "Guten Tag",
        "Bonjour !",
        "¡Hola!",
        "Olá",
        "slt",
        "Goedemorgen",
        "Здравствуйте!",
        "Привіт",
        "Dzień dobry",
        "Merhaba",
        "Xin chào",
        "Selamat pagi",
        "مرحبا",
        "السلام عليكم",
        "नमस्ते",
        "你好！",
        "您好",
        "こんにちは。",
        "안녕하세요?",
        "Hej",
        "สวัสดี",
        "H\u200bello 👋",
        "Hello, good morning to all of you!",
        "Hellooo??",
        "Hi, I have a question",
        "Hi! Can you help me please?",
        "Sehr geehrte Damen und Herren,",
        "Hallo zusammen, ich hätte eine Frage",
        "Bonjour à toute l'équipe, comment allez-vous ?",
        "¡Hola, buenos dias!",
        "Oi, tudo bem?",
        "Buongiorno a tutti!",
        "Goedemiddag allemaal!",
        "Здравствуйте, добрый день! Подскажите, пожалуйста",
        "Доброго дня всім",
        "Dzien dobry, mam pytanie",
        "Merhaba, iyi günler!",
        "İYİ GÜNLER",
        "Chào shop ạ",
        "Selamat pagi semuanya!",
        "السلام عليكم ورحمة الله",
        "اهلاً وسهلاً",
        "नमस्ते, आप कैसे हैं?",
        "你好，在吗？",
        "您好 请问一下",
        "すみません、質問があります。",
        "안녕하세요, 질문 있습니다",
    ],
)
def test_a_greeting_is_a_greeting(text: str) -> None:
    assert wish(text) is Wish.GREETING


@pytest.mark.parametrize(
    "text",
    [
        "Thank you!",
        "Danke schön",
        "Merci beaucoup",
        "Gracias :)",
        "Obrigada",
        "Grazie mille",
        "Dank je wel",
        "Спасибо",
        "Дякую",
        "Dziękuję",
        "Teşekkürler",
        "Cảm ơn",
        "Terima kasih",
        "شكراً",
        "धन्यवाद",
        "谢谢！",
        "謝謝",
        "ありがとうございます",
        "감사합니다 🙏",
        "Thank you very much, that helped!",
        "ok thanks, have a nice day",
        "Hello, thanks!",
        "No, thank you",
        "Alles klar, vielen Dank für die schnelle Antwort!",
        "D'accord, merci beaucoup pour votre aide",
        "Muchas gracias por su ayuda",
        "Muito obrigada pela ajuda, tchau",
        "Grazie mille per l'aiuto",
        "Prima, bedankt voor de hulp",
        "Понятно, большое спасибо за помощь",
        "Щиро дякую за відповідь",
        "Ok, dziekuje bardzo",
        "Tamam, çok teşekkür ederim",
        "cam on shop nhieu",
        "Terima kasih banyak atas bantuannya",
        "شكرا جزيلا على المساعدة",
        "आपकी मदद के लिए बहुत बहुत धन्यवाद",
        "好的，谢谢你",
        "太謝謝您了",
        "わかりました。ご回答ありがとうございます。",
        "네, 도와주셔서 감사합니다",
        "tak for hjælpen",
        "Tack för hjälpen!",
        "Tusen takk for hjelpen",
        "Thanks, bye!",
    ],
)
def test_thanks_are_thanks(text: str) -> None:
    assert wish(text) is Wish.THANKS


@pytest.mark.parametrize(
    "text",
    [
        "Goodbye!",
        "bye",
        "ok, bye",
        "Have a nice day",
        "Tschüss",
        "Auf Wiedersehen!",
        "Au revoir",
        "Bonne journée !",
        "¡Adiós!",
        "Hasta luego",
        "Tchau",
        "Arrivederci",
        "Tot ziens",
        "до свидания",
        "Всего доброго!",
        "До побачення",
        "Do widzenia",
        "Hoşça kalın",
        "Sampai jumpa",
        "Tạm biệt",
        "مع السلامة",
        "अलविदा",
        "再见",
        "拜拜！",
        "さようなら",
        "안녕히 계세요",
        "Hej då",
        "Farvel",
        "Ha det bra",
        "Näkemiin",
        "Na shledanou",
        "Viszlát",
        "La revedere",
        "Αντίο",
        "להתראות",
        "ลาก่อน",
        "خداحافظ",
        "довиждане",
    ],
)
def test_a_goodbye_is_a_goodbye(text: str) -> None:
    assert wish(text) is Wish.GOODBYE


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "Yes, please!", "Ja bitte", "Oui", "Sí", "sim", "sì", "да", "так", "evet"),
        *("vâng", "نعم", "हाँ", "是的", "はい", "네", "ใช่", "ναι", "כן"),
    ],
)
def test_a_yes_is_a_yes(text: str) -> None:
    assert wish(text) is Wish.YES


@pytest.mark.parametrize(
    "text",
    [
        "Are you a robot?",
        "Hi, are you human?",
        "Bist du ein Bot?",
        "Êtes-vous un robot ?",
        "¿Eres un robot?",
        "Вы робот?",
        "Czy jesteś botem?",
        "Robot musunuz?",
        "هل أنت روبوت؟",
        "क्या आप रोबोट हैं?",
        "你是机器人吗？",
        "ロボットですか？",
        "로봇인가요?",
        "who are you",
        "is this a human?",
        "am I talking to a real person?",
        "Are you a bot or a human?",
        "Rede ich mit einem echten Menschen?",
        "je parle à un robot ou à un humain ?",
        "¿estoy hablando con una persona real?",
        "Estou falando com uma pessoa de verdade?",
        "sto parlando con una persona vera?",
        "Praat ik met een mens of een robot?",
        "Это бот или человек?",
        "Я розмовляю з людиною?",
        "czy rozmawiam z człowiekiem?",
        "gerçek bir insanla mı konuşuyorum?",
        "Apakah saya berbicara dengan manusia?",
        "Tôi đang nói chuyện với người hay máy?",
        "هل أتحدث مع شخص حقيقي؟",
        "insaan ho ya robot?",
        "你是真人还是机器人？",
        "人間ですか、それともロボットですか？",
        "사람과 대화하고 있나요?",
    ],
)
def test_who_asks_what_we_are_asks_no_article(text: str) -> None:
    assert wish(text) is Wish.WHO


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("tak", "da", Wish.THANKS),
        ("tak", "en", Wish.THANKS),
        ("Tak", "pl-PL", Wish.YES),
        ("tak", "cs", Wish.YES),
        ("tak", "hr", Wish.YES),
        ("tak, dziękuję", "pl", Wish.THANKS),
        ("ciao", "it", Wish.HAIL),
        ("ciao", "de", Wish.GOODBYE),
    ],
)
def test_a_word_means_what_it_does_in_the_language_of_the_conversation(
    text: str, language: str, wanted: Wish
) -> None:
    assert wish(text, language) is wanted


@pytest.mark.parametrize("text", ["Ciao", "salut !", "Servus", "cześć", "안녕", "ahoj", "שלום"])
def test_a_word_for_coming_and_leaving_is_told_from_both(text: str) -> None:
    assert wish(text) is Wish.HAIL


@pytest.mark.parametrize("text", ["👍", "👍🏽", "❤️", "🙏🙏", "👌!"])
def test_a_thumb_or_a_heart_is_a_sign_of_pleasure(text: str) -> None:
    assert wish(text) is Wish.PLEASED


@pytest.mark.parametrize(
    "text",
    ["merci bcp", "gracias guapa", "谢谢老板", "شكرا يا غالي", "obrigado viu", "Thanks my friend"],
)
def test_what_begins_with_thanks_is_told(text: str) -> None:
    assert begins_with_thanks(text)
    assert not begins_with_thanks(f"Hello, {text}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        *(
            (text, 2)
            for text in ("2", " 2. ", "#2", "２", "٢", "२", "2️⃣", "②", "2번", "第2", "2番目")
        ),
        *(
            (text, 1)
            for text in ("the first one", "第一个", "Der erste", "¿la primera?", "첫 번째")
        ),
        *((text, 3) for text in ("3つ目", "третий", "الثالث", "तीसरा वाला")),
        *((text, 0) for text in ("", "0", "12", "-", "first class", "2 parcels", "½", "Prima!")),
        *((text, 0) for text in ("2€", "-1", "5 $")),
        *((text, 2) for text in ("No. 2", "Nº 2", "2!", "number 2")),
    ],
)
def test_the_place_that_a_message_names(text: str, place: int) -> None:
    assert place_named(text) == place


@pytest.mark.parametrize("text", ["", "   ", "😐", "🎉🎉!!", "?!", "\u200b\u202e", "…"])
def test_a_message_without_words_says_nothing(text: str) -> None:
    assert wish(text) is Wish.NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "OK!",
        "ок",
        "okay, got it",
        "No",
        "Alles klar",
        "D'accord",
        "vale",
        "Tá bom",
        "va bene",
        "хорошо",
        "добре",
        "dobrze",
        "tamam",
        "baik",
        "được rồi",
        "تمام",
        "حسناً",
        "ठीक है",
        "好的",
        "知道了",
        "わかりました",
        "네, 알겠습니다",
        "None of these",
        "Nothing else",
        "Nein, das war alles",
        "blz",
        "どうも",
    ],
)
def test_assent_asks_nothing(text: str) -> None:
    assert wish(text) is Wish.AGREED


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hi there, where is my order? Thank you!", "where is my order?"),
        ("Bonjour, mon colis est arrivé. Que faire ?", "mon colis est arrivé. Que faire ?"),
        ("你好！退货要多久？谢谢", "退货要多久？"),
        ("Where is my order, please?", "Where is my order, please?"),
        ("Hello!", "Hello!"),
        ("Is size 42 right, ok?", "Is size 42 right"),
    ],
)
def test_a_question_is_searched_for_without_its_courtesies(text: str, left: str) -> None:
    assert without_courtesies(text) == left


def test_reading_a_long_message_takes_no_time() -> None:
    started_s = time.process_time()
    for text in ("thank you " * 400, "ok " * 1300, "talk to talk to " * 12, "谢" * 4000):
        wish(text)
        without_courtesies(text)
    assert time.process_time() - started_s < 0.5


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("Hola!", ("es",)),
        ("moin", ("de",)),
        ("hello, gracias", ("es",)),
        ("cam on shop", ("vi",)),
        ("hai", ("id", "nl")),
        ("oi", ("pt",)),
        ("спасибо", ("ru",)),
        ("謝謝", ()),
        ("hello", ()),
        ("ok", ()),
        ("hej", ()),
        ("hola, ¿dónde está mi pedido?", ()),
        ("ciao", ("it",)),
        ("tschüss", ("de",)),
        ("bye", ()),
        ("ya, gracias", ("es",)),
    ],
)
def test_courtesies_tell_their_language(text: str, languages: tuple[str, ...]) -> None:
    assert courtesy_languages(text) == languages
