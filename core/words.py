"""Compares texts of one language by the words that carry their meaning."""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

# Scripts written without spaces, where pairs of characters stand in for words; Hangul is here
# because particles cling to its words.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    r"\uf900-\ufaff]"
)
# Japanese writes endings and particles in Hiragana, what they belong to mostly in other signs.
_GRAMMAR = re.compile(r"[\u3040-\u309f]+")
_ARABIC_ARTICLES = ("وال", "بال", "لل", "ال")
# Function words of three letters and more; shorter words are never content.
_FUNCTION_WORDS_BY_LANGUAGE = {
    "English, German, Dutch": """
        about after all also and any are because been before being but can could does each
        for from had has have her him his how into its just may might more most must not off
        only our out over own shall she should some such than that the their them then there
        these they this those through too under until upon very was were what when where
        which while who why will with would you your aber alle als auch auf aus bei bis dann
        das dass dein deine dem den denn der des die dies diese diesem diesen dieser dieses
        doch durch ein eine einem einen einer eines für hat haben hier ihm ihn ihnen ihr
        ihre ihrem ihren ihrer ist kann können man mehr mein mit muss müssen nach noch nur
        oder ohne schon sehr seit sich sie sind soll über und uns unser unsere unter vom von
        vor wann war warum weil welche wenn wer werden wie wieder wird wir wurde zum zur aan
        dat deze dit door een heb heeft het hoe hun kan kunnen maar meer met moet moeten
        naar niet nog ook onze ons uit van voor waar wat wel wij wordt worden zal zijn zich
        zij
        much many now please want need still yet got get like ich mich mir meine meinem meinen
        meiner nicht viel viele wieviel welcher welches welchem welchen wohin hoeveel welke welk
        mijn gibt
    """,
    "French, Spanish, Portuguese, Italian": """
        aux avec bien ces cet cette comment dans des donc elle elles est être ils leur leurs
        lui mais mes nos notre nous ont par pas pour pouvez puis que quel quelle qui sans
        ses son sont sous sur tous tout toute très une vos votre vous algo ante aquí como
        con cual cuando cuándo del desde donde dónde ella ellos entre era eran esa ese eso
        esta este esto está están fue hasta hay las los más mis muy nuestra nuestro para
        pero por porque puede pueden qué quien ser será sin sobre soy sus también tiene
        tienen todo una uno usted ustedes aos até com das dele depois dos ela ele eles esse
        isso isto você vocês foi mas meu minha muito nas nem nossa nosso não nós num numa
        onde pela pelo pode quando quem são sem seu seus sua suas tem têm uma alla alle
        anche che chi come cosa dal dalla degli dei della delle dello dove gli hai hanno lei
        loro mio nel nella non nostra nostro per però più può quale quali quella quello
        questa questo sei sono sue sul sulla suo tra tutti tutto voi
        combien les mon plus moins quels quelles pourquoi cuánto cuánta cuántos cuántas
        cuáles quién mía quanto quanta quantos quantas quais qual meus minhas quanti quante
        perché mia
    """,
    "Russian, Ukrainian, Polish": """
        без был была были быть вам вас ваш ваша ваше ваши вашего все всех где для его если
        есть еще ещё или как который которая которые кто мне может можно мой над нас наш
        наши него нет она они перед под после при про так также там того только тот что
        чтобы эта эти это этот або але він вона вони його коли може можна під після тільки
        цей щоб який яка які aby ale albo bez być czy dla gdy gdzie jak jako jest jeśli już
        kiedy która które który lub może mam nad nasz nie oraz pan pani państwo pod przed
        przez przy się tak także tego ten też tej tylko tym was wasz
        сколько какой какая какое какие меня мои моя моё когда почему скільки яке мені мене
        моя моє чому ile jaki jaka jakie moje moja mój mnie
    """,
    "Turkish, Indonesian, Vietnamese": """
        ama bir biz bize bizim çok daha değil gibi hem her için ile ise kadar nasıl neden
        olan olarak oldu sen siz sizin şey var veya yok ada adalah akan anda atau bagi bahwa
        bisa dalam dan dapat dari dengan hanya harus ini itu jika juga kami kamu karena
        kepada lebih oleh pada saat saya sebagai sudah telah tidak untuk yang các cho của
        cũng được không khi làm một này nếu những phải thì tôi trong với bạn
        kaç neler nerede benim berapa apa apakah kapan bagaimana bao nhiêu mấy nào
    """,
    "Arabic, Hindi": """
        إلى أنت إذا التي الذي ذلك على عند كان كما لكن منذ نحن هذا هذه يمكن يمكنك एवं करना
        करने करें किया कोई क्या गया दें नहीं में मैं यदि रहा लिए हैं होगा
        ماذا لماذا متى أين كيف أنا कितने कितना कितनी कैसे कहाँ मेरा मेरी मेरे मुझे
    """,
}
_FUNCTION_WORDS = frozenset(
    word for text in _FUNCTION_WORDS_BY_LANGUAGE.values() for word in text.split()
)


def normal(text: str) -> str:
    """One form for texts that look the same: NFKC, case-folded, without invisible characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) != "Cf")


@lru_cache(maxsize=4_096)
def words(text: str) -> tuple[str, ...]:
    """Runs of letters with their marks, normalised, in reading order."""
    kept = (char if unicodedata.category(char)[0] in "LM" else " " for char in normal(text))
    return tuple("".join(kept).split())


@lru_cache(maxsize=4_096)
def content(text: str) -> tuple[str, ...]:
    """The words that carry meaning; pairs of characters where a script writes no spaces."""
    found: list[str] = []
    for word in words(text):
        if _UNSPACED.search(word):
            pairs = [word[i : i + 2] for i in range(len(word) - 1)] or [word]
            found += [pair for pair in pairs if not _GRAMMAR.fullmatch(pair)] or pairs
        elif len(word) > 2 and word not in _FUNCTION_WORDS:
            found.append(_bare(word))
    return tuple(found)


def _bare(word: str) -> str:
    """The word without the Arabic article that is written onto it."""
    for article in _ARABIC_ARTICLES:
        if word.startswith(article) and len(word) - len(article) > 2:
            return word[len(article) :]
    return word


@lru_cache(maxsize=65_536)
def same_word(one: str, other: str) -> bool:
    """Whether two words look like forms of one, by a long common beginning or as part."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < 4:
        return False
    if len(short) > 4 and short in long:
        return True
    common = next(
        (i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    return common >= max(4, 0.55 * len(long))


def share_found(needles: Collection[str], haystack: Collection[str]) -> float:
    """The share of `needles` that some word of `haystack` is a form of; 1 if there are none."""
    if not needles:
        return 1.0
    there = frozenset(haystack)
    hits = sum(
        needle in there or any(same_word(needle, word) for word in there) for needle in needles
    )
    return hits / len(needles)
