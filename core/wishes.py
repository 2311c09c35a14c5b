"""Recognises the few messages that need no article: a call for a person, a greeting, thanks.

The lists are short on purpose. A question that is taken for a greeting is lost on the customer; a
greeting that is searched for merely costs a search. So a message is a greeting or thanks only if it
is nothing else. A call for a person may stand in a longer sentence: words of calling with a word
for a person close by.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from core.words import normal


class Wish(StrEnum):
    """What a message wants, where its words alone tell."""

    PERSON = "person"
    GREETING = "greeting"
    THANKS = "thanks"
    NOTHING = "nothing"


_GREETINGS = """
hello, hi, hey, hi there, hello there, hey there, good morning, good afternoon, good evening,
good day, greetings, hi all, hello everyone
hallo, guten tag, guten morgen, guten abend, moin, servus, grüezi, grüß gott, hallo zusammen
bonjour, bonsoir, salut, coucou, bonjour à tous
hola, buenas, buenos días, buenos dias, buenas tardes, buenas noches, qué tal, hola qué tal
olá, ola, oi, bom dia, boa tarde, boa noite, olá bom dia, oi bom dia
ciao, salve, buongiorno, buon giorno, buonasera, buona sera
hoi, goedemorgen, goedemiddag, goedenavond, goedendag
привет, здравствуйте, здравствуй, добрый день, доброе утро, добрый вечер
привіт, вітаю, доброго дня, добрий день, доброго ранку, добрий вечір
cześć, czesc, hej, dzień dobry, dzien dobry, dobry wieczór, witam
merhaba, selam, selamlar, günaydın, iyi günler, iyi akşamlar
xin chào, chào, chào bạn, chào anh, chào chị, chào shop
halo, hai, selamat pagi, selamat siang, selamat sore, selamat malam
مرحبا, مرحباً, أهلا, أهلاً, اهلا, السلام عليكم, سلام عليكم, صباح الخير, مساء الخير, هاي
नमस्ते, नमस्कार, हैलो, हेलो, हाय, namaste
你好, 您好, 嗨, 哈喽, 大家好, 早上好, 下午好, 晚上好, 你好啊, 在吗, 在嗎
こんにちは, こんばんは, おはよう, おはようございます, はじめまして, もしもし
안녕하세요, 안녕, 안녕하십니까, 여보세요
hei, god dag, goddag, moi, terve, dobrý den, ahoj, szia, jó napot, bună, bună ziua, γεια, γεια σας
שלום, สวัสดี, สวัสดีครับ, สวัสดีค่ะ, salam, سلام, হ্যালো, నమస్తే, வணக்கம், jambo, habari
"""
_THANKS = """
thanks, thank you, thank you very much, thanks a lot, many thanks, thx, ty, cheers, great thanks,
ok thanks, okay thanks, perfect thanks, thank you so much, got it thanks, thank you for your help
danke, danke schön, danke sehr, vielen dank, besten dank, herzlichen dank, super danke, ok danke,
danke dir, danke für die hilfe, vielen dank für ihre hilfe
merci, merci beaucoup, merci bien, ok merci, un grand merci, merci pour votre aide
gracias, muchas gracias, mil gracias, ok gracias, vale gracias, gracias por su ayuda
obrigado, obrigada, muito obrigado, muito obrigada, ok obrigado, ok obrigada, valeu
grazie, grazie mille, molte grazie, ok grazie, tante grazie
dank je, dank je wel, dankjewel, dank u, dank u wel, bedankt, hartelijk dank, ok bedankt
спасибо, большое спасибо, спасибо большое, благодарю, спс, спасибо за помощь
дякую, дуже дякую, щиро дякую, спасибі, дякую за допомогу
dziękuję, dziekuje, dzięki, dzieki, bardzo dziękuję, dziękuję bardzo, dziękuję za pomoc
teşekkürler, teşekkür ederim, çok teşekkürler, çok teşekkür ederim, sağ ol, sağol, sağ olun
cảm ơn, cám ơn, cảm ơn bạn, cảm ơn nhiều, cảm ơn shop
terima kasih, terima kasih banyak, makasih, trims
شكرا, شكراً, شكرا لك, شكراً لك, شكرا جزيلا, شكراً جزيلاً, ألف شكر
धन्यवाद, शुक्रिया, बहुत धन्यवाद, बहुत बहुत धन्यवाद, dhanyavaad, shukriya
谢谢, 谢谢你, 谢谢您, 多谢, 非常感谢, 感谢, 謝謝, 謝謝你, 謝謝您, 多謝, 好的谢谢, 好的謝謝
ありがとう, ありがとうございます, ありがとうございました, どうも, どうもありがとう,
どうもありがとうございます
감사합니다, 고맙습니다, 고마워요, 고마워, 감사해요, 네 감사합니다
tack, tack så mycket, takk, tusen takk, tak, mange tak, kiitos, děkuji, köszönöm, mulțumesc
ευχαριστώ, תודה, ขอบคุณ, ขอบคุณครับ, ขอบคุณค่ะ, ممنون, متشکرم, ধন্যবাদ, நன்றி, asante
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """How one language calls for a person; a `*` stands for any ending.

    `calls` come before the person, or `after` it; `alone` are the words that a message may consist
    of, besides the person, to be a call without a word of calling ("a human please").
    """

    person: str
    calls: str = ""
    after: str = ""
    alone: str = ""
    spaced: bool = True


_CALLS = (
    _Call(
        person="human*, person, agent, representative, operator, advisor, manager, supervisor,"
        " employee, someone, somebody, staff",
        calls="talk to, talk with, speak to, speak with, chat with, connect me to, connect me with,"
        " transfer me to, pass me to, put me through to, forward me to, escalate to",
        alone="i, want, need, would, d, like, please, a, an, the, real, live, actual, now, give"
        ", get, me, can, have, customer, service, support, being",
    ),
    _Call(person="human, real person, live agent, human being", calls="i want, i need, give me"),
    _Call(
        person="mensch*, mitarbeiter*, kundenberater*, berater*, kundendienst*, echte* person,"
        " einer person",
        calls="sprechen mit, reden mit, verbinden sie mich mit, verbinde mich mit, weiterleiten an",
        after="sprechen, reden, chatten, verbinden, verbunden werden, schreiben",
        alone="ich, will, möchte, brauche, bitte, einen, ein, eine, einem, mit, echten, echter,"
        " echte, richtigen",
    ),
    _Call(
        person="humain*, personne, conseill*, agent, opérateur, opératrice, quelqu un, responsable",
        calls="parler à, parler avec, parler a, discuter avec, échanger avec, joindre,"
        " en relation avec, passez moi",
        alone="je, veux, voudrais, un, une, vrai, vraie, svp, s, il, vous, plaît, humain",
    ),
    _Call(
        person="human*, persona, agente, asesor*, operador*, representante, alguien, encargad*",
        calls="hablar con, hable con, chatear con, comunicarme con, comunicame con, comuníqueme con"
        ", pásame con, páseme con, contactar con",
        alone="quiero, necesito, un, una, por, favor, real, humano",
    ),
    _Call(
        person="human*, pessoa, atendente, agente, operador*, representante, alguém, funcionári*",
        calls="falar com, falo com, conversar com, me passe para, me transfira para,"
        " me transfere para, contato com",
        alone="quero, preciso, de, um, uma, por, favor, real, humano",
    ),
    _Call(
        person="uman*, persona, operator*, operatrice, agente, addetto, consulente, qualcuno",
        calls="parlare con, parlo con, chattare con, in contatto con, mi passi, passami",
        alone="voglio, vorrei, un, una, per, favore, vera, reale, umano",
    ),
    _Call(
        person="mens, persoon, medewerker, collega, iemand, adviseur",
        calls="praten met, spreken met, chatten met, verbind me met, verbind mij met",
        after="spreken, praten, chatten",
        alone="ik, wil, graag, een, echt, echte, aub, alstublieft",
    ),
    _Call(
        person="человек*, оператор*, специалист*, менеджер*, сотрудник*, консультант*, живым*",
        calls="поговорить с, связаться с, соедините с, соедините меня с, соединить с, переключите"
        " на, переведите на, позовите, свяжите с, свяжите меня с",
        alone="мне, нужен, хочу, живой, живого, пожалуйста, дайте",
    ),
    _Call(
        person="людин*, оператор*, спеціаліст*, менеджер*, працівник*, консультант*",
        calls="поговорити з, поговорити із, зв язатися з, з єднайте з, з єднайте мене з,"
        " переключіть на, покличте",
        alone="мені, потрібен, потрібна, хочу, жива, живу, будь, ласка",
    ),
    _Call(
        person="człowiek*, konsultant*, osob*, pracownik*, agentem, kimś, doradc*",
        calls="porozmawiać z, rozmawiać z, połącz mnie z, połączcie mnie z, połączyć się z,"
        " proszę o połączenie z, skontaktować się z, rozmowa z",
        alone="chcę, potrzebuję, proszę, żywy, żywym, z",
    ),
    _Call(
        person="insan*, temsilci*, yetkili*, gerçek biri*, operatör*, birisi*",
        after="görüş*, konuş*, bağla*, iletişime geç*",
        alone="gerçek, bir, müşteri, canlı, lütfen, istiyorum, ile",
    ),
    _Call(
        person="manusia, orang, agen, petugas, operator, cs, admin, staf, customer service",
        calls="bicara dengan, berbicara dengan, bicara sama, ngobrol dengan, terhubung dengan,"
        " hubungkan saya dengan, hubungkan ke, sambungkan ke, sambungkan saya ke, chat dengan",
        alone="saya, mau, ingin, butuh, tolong, asli",
    ),
    _Call(
        person="người thật, con người, nhân viên, tổng đài viên, tư vấn viên, ai đó",
        calls="nói chuyện với, trò chuyện với, gặp, kết nối với, kết nối tôi với, chat với",
        alone="tôi, muốn, cần, hỗ, trợ, làm, ơn",
    ),
    _Call(
        person="شخص*, إنسان*, انسان*, موظف*, ممثل*, مندوب*, أحد, احد, الموظف*",
        calls="التحدث مع, التحدث إلى, التحدث الى, اتحدث مع, أتحدث مع, أتحدث إلى, اتكلم مع,"
        " أتكلم مع, التواصل مع, حولني إلى, حولني الى, حولني ل, وصلني ب",
        alone="أريد, اريد, من, فضلك, حقيقي, خدمة, العملاء",
    ),
    _Call(
        person="इंसान, व्यक्ति, एजेंट, प्रतिनिधि, आदमी, किसी, अधिकारी, ऑपरेटर",
        after="से बात, के साथ बात, से बातचीत, से जोड़*, से जुड़*",
        alone="मुझे, चाहिए, असली, कृपया",
    ),
    _Call(
        person="人工, 真人, 活人, 客服人员, 客服人員, 人工客服",
        calls="转, 轉, 找, 要, 接, 联系, 聯繫, 和, 跟, 与, 與, 需要",
        alone="请, 請, 客服, 服务, 服務, 谢谢, 謝謝",
        spaced=False,
    ),
    _Call(
        person="人間, オペレーター, オペレータ, 担当者, 担当の方, スタッフ, 係の人, 有人",
        after="と話, と直接話, につない, に繋い, につなげ, に代わ, とチャット, に相談, に連絡,"
        " 対応",
        alone="お願いします, を, ください, 対応",
        spaced=False,
    ),
    _Call(
        person="상담원*, 상담사*, 사람*, 담당자*, 직원*, 매니저*",
        after="연결*, 통화*, 대화*, 이야기*, 얘기*, 상담*, 바꿔*, 말하고*",
        alone="주세요, 부탁해요, 실제, 진짜",
    ),
)
_NOT = re.compile(
    r"(?<!\S)(?:not|don t|dont|never|without|instead|nicht|ohne|statt|pas|sans|no|sin|não|sem|non"
    r"|senza|niet|zonder|не|без|nie|bez|không|tidak|bukan|tanpa|لا|بدون|नहीं)(?!\S)"
)
_NOT_SIGNS = frozenset("不别別没沒勿")


def _spelling(text: str) -> str:
    """Letters, marks and digits in single-spaced words."""
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in normal(text))
    return " ".join("".join(kept).split())


def _set(lines: str) -> frozenset[str]:
    return frozenset(_spelling(phrase) for phrase in re.split(r"[,\n]", lines) if phrase.strip())


def _either(phrases: str) -> str:
    """A pattern for any of the phrases, the longest first."""
    split = sorted((p.strip() for p in phrases.split(",") if p.strip()), key=len, reverse=True)
    return (
        "(?:" + "|".join(normal(re.sub(r"\s+", " ", p)).replace("*", r"\S*") for p in split) + ")"
    )


def _patterns(call: _Call) -> list[re.Pattern[str]]:
    person = _either(call.person)
    left, right, gap = (
        (r"(?<!\S)", r"(?!\S)", r" (?:\S+ ){0,3}?") if call.spaced else ("", "", ".?")
    )
    found = []
    if call.calls:
        found.append(f"{left}{_either(call.calls)}{gap}{person}{right}")
    if call.after:
        found.append(f"{left}{person}{gap}{_either(call.after)}{right if call.spaced else ''}")
    if call.alone:
        space = " ?" if not call.spaced else "(?: |$)"
        words = f"(?:{_either(call.alone)}{space})*"
        found.append(f"^{words}{person}{space}{words}$")
    return [re.compile(pattern) for pattern in found]


_GREETING_SET = _set(_GREETINGS)
_THANKS_SET = _set(_THANKS)
_PERSON = tuple(pattern for call in _CALLS for pattern in _patterns(call))
_LONGEST_CALL = 200


def wish(text: str) -> Wish | None:
    """What the words of a message want by themselves; None if it must be read as a question."""
    said = _spelling(text)
    if not any(char.isalnum() for char in said):
        return Wish.NOTHING
    if said in _GREETING_SET:
        return Wish.GREETING
    if said in _THANKS_SET:
        return Wish.THANKS
    return Wish.PERSON if len(said) <= _LONGEST_CALL and _calls_for_person(said) else None


def _calls_for_person(said: str) -> bool:
    for pattern in _PERSON:
        match = pattern.search(said)
        if match and not _denied(said[: match.start()], match[0]):
            return True
    return False


def _denied(before: str, call: str) -> bool:
    """Whether a call is one that the customer does not make."""
    near = " ".join([*before.split()[-3:], call])
    return bool(_NOT.search(near) or set(before[-2:]) & _NOT_SIGNS)
