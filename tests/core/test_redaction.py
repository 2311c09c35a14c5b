"""What is masked, what is left alone, and that every mark finds its way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import Type, find, mask, restore, scrub

PERSONAL = [
    (Type.EMAIL_ADDRESS, "Write to {} please", "anna.meier+shop@mail.example.org"),
    (Type.EMAIL_ADDRESS, "邮箱是{}请", "anna@mail.example"),
    (Type.EMAIL_ADDRESS, "an {}.", "jörg.müller@büro.example"),
    (Type.IBAN_CODE, "IBAN {} danke", "DE89 3704 0044 0532 0130 00"),
    (Type.IBAN_CODE, "на счёт {}", "gb82west12345698765432"),
    (Type.CREDIT_CARD, "my card {} is lost", "4111 1111 1111 1111"),
    (Type.CREDIT_CARD, "بطاقتي {}", "٤١١١١١١١١١١١١١١١"),
    (Type.CREDIT_CARD, "カード{}です", "５５５５５５５５５５５５４４４４"),
    (Type.CREDIT_CARD, "amex {}", "378282246310005"),
    (Type.IP_ADDRESS, "from {} yesterday", "203.0.113.7"),
    (Type.IP_ADDRESS, "from {} yesterday", "2001:db8::8a2e:370:7334"),
    (Type.US_SSN, "SSN: {}", "460-89-9847"),
    (Type.DOMAIN_NAME, "see {}.", "https://shop.example/returns?id=1"),
    (Type.PHONE_NUMBER, "Call me at {}", "+49 30 901820"),
    (Type.PHONE_NUMBER, "Meine Nummer: {}", "030 901820"),
    (Type.PHONE_NUMBER, "tel. {}", "0171 1234567"),
    (Type.PHONE_NUMBER, "{}", "(415) 555-2671"),
    (Type.PHONE_NUMBER, "Appelez le {} svp", "06 12 34 56 78"),
    (Type.PHONE_NUMBER, "Llámame al {}", "612 345 678"),
    (Type.PHONE_NUMBER, "Позвоните мне: {}", "8 (912) 345-67-89"),
    (Type.PHONE_NUMBER, "我的电话是{}", "13812345678"),
    (Type.PHONE_NUMBER, "手机号{}", "１３８１２３４５６７８"),
    (Type.PHONE_NUMBER, "電話は{}です", "03-1234-5678"),
    (Type.PHONE_NUMBER, "전화 {}", "010-1234-5678"),
    (Type.PHONE_NUMBER, "رقم هاتفي {}", "٠٥٠١٢٣٤٥٦٧"),
    (Type.PHONE_NUMBER, "फ़ोन {}", "98765 43210"),
    (Type.PHONE_NUMBER, "zadzwoń {}", "601 234 567"),
    (Type.PHONE_NUMBER, "{}", "0044 20 7946 0958"),
    (Type.PHONE_NUMBER, "order 12345, call me at {}", "415 555 2671"),
    (Type.PHONE_NUMBER, "My number is {}", "07700900123"),
    (Type.PHONE_NUMBER, "my number is {}", "9876543210"),
    (Type.PHONE_NUMBER, "about my order, my new number is: {}", "9876543210"),
    (Type.PHONE_NUMBER, "just in case my number is {}", "9876543210"),
    (Type.PHONE_NUMBER, "I am sending my number {}", "9876543210"),
    (Type.PHONE_NUMBER, "merhaba numaram {}", "5321234567"),
    (Type.PHONE_NUMBER, "siparişim için, numaram {}", "5321234567"),
    (Type.PHONE_NUMBER, "a számom {}", "301234567"),
    (Type.PHONE_NUMBER, "số của tôi là {}", "912345678"),
    (Type.PHONE_NUMBER, "mitt nummer {}", "701234567"),
    (Type.PHONE_NUMBER, "Je suis client, {}", "06 12 34 56 78"),
    (Type.PHONE_NUMBER, "Das Paket bitte an {}", "0171 1234567"),
    (Type.PHONE_NUMBER, "przesyłka dla mnie, {}", "601 234 567"),
    (Type.PHONE_NUMBER, "meine Nummer ist {}", "017612345678"),
    (Type.PHONE_NUMBER, "mon numéro est le {}", "612345678"),
    (Type.PHONE_NUMBER, "mi número es {}", "612345678"),
    (Type.PHONE_NUMBER, "il mio numero è {}", "3331234567"),
    (Type.PHONE_NUMBER, "meu número é {}", "11987654321"),
    (Type.PHONE_NUMBER, "mijn nummer is {}", "0612345678"),
    (Type.PHONE_NUMBER, "мой номер: {}", "8 912 345 67 89"),
    (Type.PHONE_NUMBER, "numaram {}", "5321234567"),
    (Type.PHONE_NUMBER, "nomor saya {}", "81234567890"),
    (Type.PHONE_NUMBER, "私の番号は{}です", "9012345678"),
    (Type.PHONE_NUMBER, "رقمي هو {}", "501234567"),
    (Type.EMAIL_ADDRESS, "пишите на {}.", "иван@почта.рф"),
    (Type.EMAIL_ADDRESS, "{}", "ivan.petrov@пример.рус"),
    (Type.EMAIL_ADDRESS, "写信到{}请回复", "user@example.中国"),
    (Type.EMAIL_ADDRESS, "वह {} है", "user@उदाहरण.भारत"),
    (Type.EMAIL_ADDRESS, "メール: {}", "名前@example.jp"),
    (Type.EMAIL_ADDRESS, "{}", "user@xn--e1afmkfd.xn--p1ai"),
    (Type.CREDIT_CARD, "{}", "4111  1111  1111  1111"),
    (Type.CREDIT_CARD, "{}.", "4111.1111.1111.1111"),
    (Type.CREDIT_CARD, "{} 12/27", "4111 1111 1111 1111"),
    (Type.NATIONAL_ID, "身份证号{}，谢谢", "11010519491231002X"),
    (Type.NATIONAL_ID, "{}", "900101-1234568"),
    (Type.NATIONAL_ID, "주민등록번호 {}", "900101-1234567"),
    (Type.NATIONAL_ID, "mi DNI es {}", "12345678Z"),
    (Type.NATIONAL_ID, "{}", "X1234567L"),
    (Type.NATIONAL_ID, "{}", "RSSMRA85T10A562S"),
    (Type.NATIONAL_ID, "mój PESEL to {}", "44051401359"),
    (Type.NATIONAL_ID, "mijn BSN is {}", "111222333"),
    (Type.NATIONAL_ID, "{}", "811218-9876"),
    (Type.NATIONAL_ID, "{}", "131052-308T"),
    (Type.NATIONAL_ID, "мой ИНН {}", "500100732259"),
    (Type.NATIONAL_ID, "TC kimlik no: {}", "10000000146"),
    (Type.NATIONAL_ID, "{}", "ABCPD1234E"),
    (Type.NATIONAL_ID, "my National Insurance number is {}", "AB123456C"),
    (Type.NATIONAL_ID, "{}", "AB 12 34 56 C"),
    (Type.NATIONAL_ID, "{}", "11.222.333/0001-81"),
    (Type.NATIONAL_ID, "{}", "529.982.247-25"),
    (Type.NATIONAL_ID, "CPF {}", "52998224725"),
    (Type.NATIONAL_ID, "Steuer-ID: {}", "86 095 742 719"),
    (Type.NATIONAL_ID, "DNI: {}", "12345678A"),
    (Type.NATIONAL_ID, "mi DNI es {}", "30123456"),
    (Type.NATIONAL_ID, "my id number is {}", "12345678"),
    (Type.NATIONAL_ID, "National ID no. {}", "12345678"),
    (Type.NATIONAL_ID, "identity card number {}", "123456789"),
    (Type.NATIONAL_ID, "tax identification number {}", "123456789"),
    (Type.NATIONAL_ID, "fatura com contribuinte {}", "123456789"),
    (Type.NATIONAL_ID, "proszę o fakturę na NIP {}", "123-456-32-18"),
    (Type.NATIONAL_ID, "dowód osobisty nr {}", "ABC123456"),
    (Type.NATIONAL_ID, "CURP {}", "GODE561231HDFRRN09"),
    (Type.NATIONAL_ID, "mi RFC es {}", "GODE561231GR8"),
    (Type.NATIONAL_ID, "RUT {}", "12.345.678-5"),
    (Type.NATIONAL_ID, "meu RG é {}", "12.345.678-9"),
    (Type.NATIONAL_ID, "मेरा आधार {} है", "1234 5678 9012"),
    (Type.NATIONAL_ID, "my PAN number is {}", "ABCDE1234F"),
    (Type.NATIONAL_ID, "мой паспорт {}", "45 10 123456"),
    (Type.NATIONAL_ID, "паспорт {}", "АА 123456"),
    (Type.NATIONAL_ID, "CPR {}", "120385-1234"),
    (Type.NATIONAL_ID, "CNP {}", "1850312123456"),
    (Type.NATIONAL_ID, "NIK saya {}", "3201234567890123"),
    (Type.NATIONAL_ID, "תעודת זהות {}", "123456782"),
    (Type.NATIONAL_ID, "身分證 {}", "A123456789"),
    (Type.SECRET, "DB_PASSWORD={}", "hunter2hunter2"),
    (Type.SECRET, "client_secret={}", "abcdefgh"),
    (Type.SECRET, "MY_API_TOKEN={}", "abcdefgh"),
    (Type.SECRET, "aws_secret_access_key={}", "wJalrXUtnFEMI"),
    (Type.SECRET, '"password": "{}"', "hunter2,hunter2"),
    (Type.SECRET, '"token":"{}"', "abcdefgh"),
    (Type.SECRET, "my password for the shop is {}!", "hunter2hunter2"),
    (Type.SECRET, "Kennwort: {}", "Sommer2024!"),
    (Type.SECRET, "hasło: {}", "hunter2"),
    (Type.SECRET, "password: {}", "sunshine"),
    (Type.SECRET, "user anna, password: {}\nthanks", "sunshine"),
    (Type.SECRET, "DB_PASSWORD: {} # the old one", "sunshine"),
    (Type.SECRET, "client-secret: {} is set", "abcdefgh"),
    (Type.SECRET, '"contraseña": "{}"', "verano azul"),
    (Type.SECRET, "Kennwort={} bitte", "sommerregen"),
    (Type.SECRET, "Token: {}", "482913"),
    (Type.SECRET, "密码：{}。谢谢", "hunter22"),
    (Type.SECRET, "mein Passwort lautet {}", "Sommer24"),
    (Type.SECRET, "mi contraseña es {}", "verano24"),
    (Type.SECRET, "mon mot de passe est {}", "soleil24"),
    (Type.SECRET, "la mia password è {}", "estate24"),
    (Type.SECRET, "minha senha é {}", "verao2024"),
    (Type.SECRET, "wachtwoord: {}", "geheim24"),
    (Type.SECRET, "hasło: {}", "tajne1234"),
    (Type.SECRET, "şifre: {}", "gizli1234"),
    (Type.SECRET, "мой пароль {}", "летом2024"),
    (Type.SECRET, "kata sandi saya adalah {}", "rahasia1"),
    (Type.SECRET, "mật khẩu của tôi là {}", "bimat1234"),
    (Type.SECRET, "मेरा पासवर्ड {} है", "gupt1234"),
    (Type.SECRET, "كلمة المرور: {}", "sirr1234"),
    (Type.SECRET, "密码是{}。", "hunter22"),
    (Type.SECRET, "パスワードは{}です", "hunter22"),
    (Type.SECRET, "비밀번호는 {} 입니다", "hunter22"),
    (Type.SECRET, "key {}", "sk-proj-abcdefghijklmnop1234"),
    (Type.SECRET, "key {}", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    (Type.SECRET, "token {}", "xoxb-123456789012-abcdefghijkl"),
    (Type.SECRET, "{}", "AKIAIOSFODNN7EXAMPLE"),
    (Type.SECRET, "bot {}", "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"),
    (Type.SECRET, "{}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"),
    (
        Type.SECRET,
        "{}",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\n-----END RSA PRIVATE KEY-----",
    ),
]


def test_one_account_behind_another_is_found_too() -> None:
    text = "DE89 3704 0044 0532 0130 00 and DE89 3704 0044 0532 0130 00"
    assert [span.type for span in find(text)] == [Type.IBAN_CODE, Type.IBAN_CODE]


@pytest.mark.parametrize(("kind", "frame", "value"), PERSONAL)
def test_personal_data_is_found_where_it_stands(kind: Type, frame: str, value: str) -> None:
    text = frame.format(value)
    assert [(span.type, text[span.start : span.end]) for span in find(text)] == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "order 4812345678", "Bestellnummer 10023456", "order #2024-00123", "Order no. 0012345678",
        "pedido 1234567890", "订单号 20240115123456", "订单号20240115123456", "注文番号 1234567890",
        "주문번호 1234567890", "Заказ № 1234567", "tracking 1Z999AA10123456784", "SKU 12-3456-789",
        "call me about order 1234567890", "invoice INV-2024-0001", "EAN 4006381333931",
        "2024-01-15", "15.01.2024 12:30", "2019-2020", "12 345 678 €", "1.234.567", "10 000 000",
        "version 1.2.3", "12:30:45", "size 38-40-42", "4111 1111 1111 1112",
        "Bestellbestätigungsnummer lautet 03012345678",
        "my order number is 9876543210", "my membership number is 9876543210",
        "mi número de pedido es 612345678", "мой номер заказа 1234567", "order 12345678Z",
        "order 240115-1234567", "240115-1235", "is AB123456C in stock?", "12345678A", "44051401359",
        "Ausweisnummer? Bestellung 12345678", "Personalausweis gültig bis 12.03.2025",
        "@anna said hi", "a@b", "I paid 1,299.00 USD", "",
    ],
)  # fmt: skip
def test_order_numbers_dates_and_prices_stay_readable(text: str) -> None:
    assert find(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Zwrot w ciągu 14 dni od 12.11.2026 10:30", "Od 3 dni nie ma zwrotu 1 250 000 zł",
        "Czekam już 10 dni, numer 12345678", "14 dni, przesyłka 620000123456",
        "Od kilku dni czekam: 12345678 w paczkomacie", "14 dni: 12345678A", "12345678 w sklepie",
        "numer dowodu zakupu 12345678", "Tin nhắn báo mã 482913", "muốn rut 5000000",
        "RFC 2822 123456", "RFC 2822 12345678", "el RFC genérico XAXX010101000",
        "order id number 12345678", "customer id number 12345678",
        "Transaction ID number 12345678", "user id number 12345678", "ticket id no 12345678",
        "Bestellung: identification code 12345678", "vehicle identification number 12345678",
        "Kimlik doğrulama kodu 48291312", "müşteri kimlik numarası 12345678", "nik: 12345678",
        "इस आधार पर 123456789012", "पैनल 12345678", "身份证验证码 48291312",
        "אימות הזהות 48291312", "frying pan no 1234567", "CPR course 1234567",
        "identity card, code 482913", "Personalausweis 12.03.2025 10:30",
        "la cédula cuesta 1 250 000 $",
    ],
)  # fmt: skip
def test_a_word_for_an_identity_that_is_an_everyday_word_masks_nothing(text: str) -> None:
    assert find(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Sipariş numaram 12345678", "Müşteri numaram 12345678",
        "Kargo takip numaram 620012345678", "üyelik numaram 12345678",
        "mon numéro client 12345678", "il mio numero cliente 12345678",
        "Rendelési számom 12345678", "mã số của tôi là 12345678", "ordre: mitt nummer 12345678",
        "Kargo takip numaram 620 012 345 678", "rufen Sie wegen Vertrag 12345678 an",
        "мой номер клиента 1234567", "ऑर्डर मेरा नंबर 12345678", "订单 我的号码 12345678",
    ],
)  # fmt: skip
def test_my_number_with_an_order_is_the_orders(text: str) -> None:
    assert find(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "my password is wrong", "my password is not accepted", "my password is forgotten",
        "I forgot my password for order 12345678", "password: forgotten",
        "Passwort: funktioniert nicht",
        "mein Passwort ist ungültig!", "Passwort: vergessen", "mi contraseña no es aceptada",
        "mi contraseña es incorrecta", "contraseña: olvidada", "mon mot de passe est refusé",
        "mot de passe : oublié", "minha senha está errada", "senha: esqueci",
        "la mia password è sbagliata", "mijn wachtwoord is verlopen", "wachtwoord: vergeten",
        "мой пароль не подходит", "пароль: забыла", "мій пароль невірний", "şifrem kabul edilmiyor",
        "şifre: unuttum", "hasło jest nieprawidłowe", "hasło: zapomniane", "mật khẩu không đúng",
        "mật khẩu của tôi là sai", "kata sandi saya salah", "पासवर्ड गलत है", "كلمة المرور خاطئة",
        "密码错误", "密码忘记了，订单12345678", "パスワードは正しいです", "비밀번호가 틀려요",
        "password must have 8-20 characters", "the reset token is case-sensitive",
        "Mot de passe: impossible de le changer", "clave: importante saber",
        "Kennwort: mindestens 8 Zeichen", "비밀번호: 잊어버렸어요", "비밀번호: 8자리이상",
        "Token is OAuth2", "the token is ERC-20", "Token: $12.99 each", "Token: $12.99",
        "Password: must be at least 8 characters", "API-Key: contact support",
        'le champ "mot de passe": impossible', "κωδικός: SAVE2026",
    ],
)  # fmt: skip
def test_what_is_said_of_a_password_is_none(text: str) -> None:
    assert find(text) == ()


def test_a_password_is_kept_from_the_log_in_any_form() -> None:
    line = '{"user": "x", "client_secret": "a b c d"} DB_PASSWORD=hunter2hunter2 up'
    assert scrub(line) == '{"user": "x", "client_secret": "⟦KEY⟧"} DB_PASSWORD=⟦KEY⟧ up'


def test_one_value_has_one_mark_and_comes_back() -> None:
    text = "Mail a@b.example, again a@b.example, then c@d.example or +1 415 555 2671."
    masked = mask(text)
    assert masked.text == "Mail ⟦EMAIL_1⟧, again ⟦EMAIL_1⟧, then ⟦EMAIL_2⟧ or ⟦PHONE_1⟧."
    assert restore(masked.text, masked.replacements) == text
    assert restore("We wrote to ⟦ email_1 ⟧.", masked.replacements) == "We wrote to a@b.example."


def test_two_texts_of_one_conversation_share_their_marks() -> None:
    first = mask("I am a@b.example")
    second = mask("Not a@b.example but c@d.example", first.replacements)
    assert second.text == "Not ⟦EMAIL_1⟧ but ⟦EMAIL_2⟧"
    assert restore(first.text, second.replacements) == "I am a@b.example"


def test_a_mark_that_the_customer_typed_is_never_filled() -> None:
    text = "⟦EMAIL_1⟧ is not a@b.example"
    masked = mask(text)
    assert masked.text == "⟦EMAIL_1⟧ is not ⟦EMAIL_2⟧"
    assert restore(masked.text, masked.replacements) == text


def test_a_question_keeps_the_address_of_a_page() -> None:
    text = "Is https://shop.example/sale real?"
    assert mask(text).text == text


def test_a_log_line_keeps_addresses_but_no_secret() -> None:
    line = "postgresql://app:hunter22@db/desk token=abcdef123456 from 127.0.0.1 for x@y.example"
    assert scrub(line) == "postgresql://⟦KEY⟧@db/desk token=⟦KEY⟧ from 127.0.0.1 for ⟦EMAIL⟧"


@given(st.text() | st.text(alphabet="0123456789 -.+()@ab:⟦⟧EMAIL_١２", max_size=60))
def test_masking_is_undone_exactly(text: str) -> None:
    masked = mask(text)
    assert restore(masked.text, masked.replacements) == text


@pytest.mark.parametrize(
    "piece",
    [
        "1", "a@", "1 ", "AB12 ", "::", "http://", "eyJ", "+(", "a@b.co ", "password=", "0-", "名@",
        "भा@", "\n", "BSN ", "my number ", "password a ", "my password for the shop is ",
        '"token":"', "密码:", "4111  ", "900101-",
    ],
)  # fmt: skip
def test_a_hostile_text_is_read_in_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert restore(mask(text).text, mask(text).replacements) == text
