"""Calls for a person, greetings and thanks in the languages that customers write."""

import pytest

from core.wishes import Wish, wish

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
    "ok",
    "12345",
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
        "Ciao",
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
    ],
)
def test_thanks_are_thanks(text: str) -> None:
    assert wish(text) is Wish.THANKS


@pytest.mark.parametrize("text", ["", "   ", "👍", "🎉🎉!!", "?!", "\u200b\u202e", "…"])
def test_a_message_without_words_says_nothing(text: str) -> None:
    assert wish(text) is Wish.NOTHING
