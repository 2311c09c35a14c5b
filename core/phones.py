"""Finds phone numbers, which have no checksum.

They are taken by their form, or by words such as "call" or "my number" before them, and never after
one such as "order".
"""

import re
from collections.abc import Iterator

_PHONE = re.compile(
    r"(?<![\w@.,:/#№=-])\+?\(?[0-9](?:[ \-./()\u00a0\u2010-\u2013]{0,3}[0-9]){5,16}"
    r"(?:\s?(?:x|ext\.?)\s?[0-9]{1,6})?",
    re.ASCII,
)
_DATE = re.compile(
    r"[12][0-9]{3}[-./ ][01]?[0-9][-./ ][0-3]?[0-9]\b"
    r"|[0-3]?[0-9][-./][0-3]?[0-9][-./](?:[12][0-9])?[0-9]{2}\b"
)
_YEARS = re.compile(r"(?:19|20)[0-9]{2}\s?[-–/]\s?(?:19|20)[0-9]{2}")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:([.\u00a0 ])[0-9]{3})(?:\1[0-9]{3})*")
_CALLED_AFTER = re.compile(r"\s?(?:office|fax|mobile|cell)\b")
_MONEY = re.compile(
    r"\s?(?:[€$£¥₹₽₩₺%]|(?:eur|usd|gbp|chf|jpy|cny|zł|kr|руб|km|kg|g|ml|mm|cm|m)\b)", re.IGNORECASE
)
_CALL = re.compile(
    r"\b(?:phone|tel\b|telef|teleph|téléph|call|mobil|cell|fax|whatsapp|viber|ring\b|text me|sms"
    r"|reach|handy|rufnummer|anruf|rufen|erreich|appel|portable|joindre|llam|celular|móvil|ligar|ligue"
    r"|telemóvel|chiam|bel\b|bellen|gsm|zadzwo|komórk|ringa\b|soita|puhelin|телефон|позвон|звон|моб"
    r"|дзвон|هاتف|اتصل|جوال|موبایل|تلفن|फ़?ोन|मोबाइल|कॉल|điện thoại|gọi|sđt|telepon|hubungi|hp\b"
    r"|ara\b|arayın|cep\b|טלפון|נייד|τηλ|κινητ|desk:)"
    r"|电话|電話|手机|手機|拨打|携帯|전화|휴대폰|연락처|โทร|เบอร์"
)
# "My number is" and the like; it may be a new one, and one of the house, but no member's.
_OWN_NUMBER = re.compile(
    r"(?:\b(?:(?:my|our)(?: (?:new|other|own|current|private|personal|work|home|office))?"
    r" (?:number|num|no\b|nr\b)|(?:meine?|unsere?)(?: \w{3,10}e)? (?:nummer|nr\b)"
    r"|(?:mon|notre)(?: nouveau)? num[ée]ro|(?:mi|nuestro)(?: nuevo)? n[úu]mero"
    r"|mio(?: nuovo)? numero|(?:meu|nosso)(?: novo)? n[úu]mero|(?:mijn|ons)(?: nieuwe)? nummer"
    r"|(?:мой|наш)(?: новый)? номер|(?:мій|наш)(?: новий)? номер|mój(?: nowy)? numer|numaram"
    r"|số (?:của )?(?:tôi|mình|em|anh|chị)|nomor (?:saya|aku|ku)|nomorku|mitt(?: nya)? n(?:ummer|r)"
    r"|mit(?: nye)? nummer|numeroni|moje(?: nové)? číslo|numărul meu|(?:a )?számom|αριθμός μου"
    r"|رقمي|मेरा नंबर|मेरा नम्बर|המספר שלי)"
    r"|(?:我的?|本人)(?:号码|號碼)|(?:私|僕|わたし)の番号|(?:내|제) ?번호)"
    # No more than a short word or two: "of" and the like would say whose number else it is.
    r"(?!\W{0,3}(?:of|for|on|de|del|di|do|da|du|des|für|van|voor|pour|para|per|для|від)\b)"
    r"(?:\W{0,3}\w{1,6}(?=\W)){0,2}[はが是为為は은는이가]?\W{0,3}\Z"
)
_ORDERS = (
    r"order|invoice|tracking|ticket|customer|article|item|sku|ref(?:erence)?|booking|account"
    r"|(?<!in )case|serial|imei|model|version|licen[cs]e|passport|policy|bestell|auftrag|rechnung"
    r"|sendung|kunden|artikel|commande|facture|suivi|colis|pedido|factura|seguimiento"
    r"|encomenda|fatura|ordine|fattura|tracciamento|factuur|zamówieni|faktur"
    r"|paczk|objednávk|заказ|сч[её]т|посылк|замовлен|sipariş|pesanan"
    r"|đơn hàng|beställning|ordre|tilaus|rendelés|comand|παραγγελί|طلب|الطلب"
)
_ORDERS_UNSPACED = "订单|訂單|单号|單號|注文|주문|ऑर्डर|คำสั่งซื้อ"
# Who has one of these may have a phone as well, whose form then tells.
_OTHERS = (
    r"track|member|contract|kunde|kundn|paket|vertrag|buchung|vorgang|mitglied"
    r"|dossier|contrat|réservation|adhérent|abonn[ée]|guía|reserva|socio|póliza|expediente"
    r"|rastre|protocolo|matrícula|spedizione|pacco|pratica|prenotazione|tessera"
    r"|klant|zending|pakket|(?:n[uúo]m\w{2,5}|номер) (?:\w{1,3} )?(?:client|klient|клиент|клієнт)"
    r"|przesyłk|umow|rezerwacj|zgłoszeni|zákazn|zásilk|smlouv"
    r"|накладн|трек|договор\w{0,2}\b|брон|обращени|заявк|посилк|відстеж"
    r"|müşteri|kargo|takip|gönderi|üye|abone|hesap|rezervasyon|poliçe|sözleşme|ürün|seri\b"
    r"|iade|talep|başvuru|şikayet|pelanggan|resi\b|tagihan|kiriman|tiket|rekening|akun"
    r"|vận đơn|khách hàng|hóa đơn|hợp đồng|mã\b|spårning|ärende|medlem|sendings|pakke|sporing"
    r"|asiakas|lasku|seuranta|ügyfél|számla|csomag|követés|szerződés|foglalás|tagság|colet|awb"
    r"|πελάτ|αποστολ|τιμολόγι|κράτησ|(?:ال)?(?:عميل|شحنة|تتبع|فاتورة|تذكرة|حجز|عضوية)"
)
_OTHERS_UNSPACED = (
    "客户|客戶|会员|會員|发票|發票|合同|追跡|伝票|予約|会員|契約|お客様番号|고객|송장|회원|예약"
    "|ग्राहक|ट्रैकिंग|बुकिंग|शिकायत|ลูกค้า|พัสดุ|הזמנה|לקוח|משלוח|חשבונית"
)
_ORDER_NUMBER, _OTHER_NUMBER = (
    re.compile(rf"(?:\b(?:{words})[^\W\d]*|{unspaced})[^\d\n]{{0,20}}\Z", re.IGNORECASE)
    for words, unspaced in (
        (_ORDERS, _ORDERS_UNSPACED),
        (f"{_ORDERS}|{_OTHERS}", f"{_ORDERS_UNSPACED}|{_OTHERS_UNSPACED}"),
    )
)
_TWO_WORDS = re.compile(r"(?:[^\s,.;!?]+[\s:]+){1,2}\Z")
_NUMBERED = re.compile(
    r"(?:[#№]|\b(?:n[or°º]|nummer|number|numéro|número|numero|номер))[\s:.]{0,2}(?:is|ist|es)?\s?\Z",
    re.IGNORECASE,
)


def find_phones(text: str) -> Iterator[tuple[int, int]]:
    """Where phone numbers stand in a text with ASCII digits."""
    for found in _PHONE.finditer(text):
        start, end = found.span()
        if re.match(r"[A-Za-z0-9_@]|[.,:/-][0-9]", text[end : end + 2]):
            continue
        before = text[max(0, start - 40) : start].lower()
        if _is_phone(found[0], before, text[end : end + 12]):
            yield start, end


def is_other_number(text: str, start: int, end: int, *, since: int) -> bool:
    """Whether a date or money stands there or, by the words from `since` on, an order's number."""
    said = _OTHER_NUMBER.search(text, max(0, since), start)
    return bool(said or _DATE.match(text, start, end) or _MONEY.match(text, end))


def _is_phone(run: str, before: str, after: str) -> bool:
    run = re.split("[xe]", run)[0]
    digits = re.sub("[^0-9]", "", run)
    groups = re.findall("[0-9]+", run)
    said = _OWN_NUMBER.search(before)
    own = said is not None and not _is_others(before, said)
    called = own or bool(_CALL.search(before) or _CALLED_AFTER.match(after))
    if _DATE.match(run) or _YEARS.fullmatch(run):
        return False
    if run.startswith("+"):
        return 8 <= len(digits) <= 15
    if (_OTHER_NUMBER if called or said else _ORDER_NUMBER).search(before):
        return own or (called and _nearest_is_call(before))
    trunk = run.startswith(("0", "(")) and len(groups) > 1
    if (_NUMBERED.search(before) and not (called or trunk)) or _MONEY.match(after):
        return False
    if called:
        return 6 <= len(digits) <= 15
    if _THOUSANDS.fullmatch(run):
        return len(digits) == 9 and "." not in run
    return _has_phone_form(run, digits, groups)


def _is_others(before: str, said: re.Match[str]) -> bool:
    """Whether "my number" is that of an order or such: "sipariş numaram", "mon numéro client".

    "About my order, my number" is not.
    """
    words = _TWO_WORDS.search(before, 0, said.start())
    return _OTHER_NUMBER.search(before, words.start() if words else said.start()) is not None


def _nearest_is_call(before: str) -> bool:
    """Whether a word such as "phone" is nearer to the number than one such as "order"."""
    last_call = max((found.end() for found in _CALL.finditer(before)), default=0)
    return not _OTHER_NUMBER.search(before[last_call:]) and last_call > len(before) - 22


def _has_phone_form(run: str, digits: str, groups: list[str]) -> bool:
    if len(groups) == 1:
        # A trunk zero, 00 and a country, or a Chinese mobile number.
        return bool(re.fullmatch("0[1-9][0-9]{8,9}|00[1-9][0-9]{9,12}|1[3-9][0-9]{9}", digits))
    if [len(group) for group in groups] == [3, 3, 4]:
        return True
    if re.match("00[1-9]", digits):
        return 10 <= len(digits) <= 15
    national = run.startswith(("0", "(")) and max(map(len, groups)) < 9
    return 8 <= len(digits) <= 12 and (national or (len(groups) > 2 and len(digits) >= 9))
