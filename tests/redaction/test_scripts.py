"""Labels, names and addresses in scripts other than Latin, value by value; by patterns alone."""

import pytest

from redaction.keys import entity_of_key
from redaction.presets import PRESETS
from redaction.redactor import Redactor
from redaction.segments import redact_payload
from redaction.wording import is_name
from runtime.domain.canonical import Json

KEY = b"a key for tests, 32 bytes long.."
HIDDEN: list[tuple[str, Json, str]] = [
    ("chinese password", "密码:lanmao-3391", "lanmao-3391"),
    ("chinese password, said", "服务器的密码是Lanmao3391。", "Lanmao3391"),
    ("japanese password, said", "パスワードはTsubame-88です", "Tsubame-88"),
    ("korean password, said", "비밀번호는 Tsubame-88 입니다", "Tsubame-88"),
    ("arabic password", "كلمة المرور: Tsubame-88", "Tsubame-88"),
    ("arabic password, said", "كلمة السر هي Tsubame-88", "Tsubame-88"),
    ("hindi password", "पासवर्ड Tsubame88 है", "Tsubame88"),
    ("greek password", "κωδικός πρόσβασης: Tsubame-88", "Tsubame-88"),
    ("hebrew password", "הסיסמה היא Tsubame-88", "Tsubame-88"),
    ("chinese code", "您的验证码是204417,请勿泄露", "204417"),
    ("japanese code", "認証コード:204417", "204417"),
    ("korean code", "[Web발신] 인증번호 204417", "204417"),
    ("arabic code", "رمز التحقق الخاص بك هو 204417", "204417"),
    ("greek code", "Ο κωδικός επαλήθευσης είναι 204417", "204417"),
    ("russian code", "Код подтверждения: 204417", "204417"),
    ("korean key", {"성명": "한지우"}, "한지우"),
    ("korean key of a day", {"생년월일": "1984년 3월 7일"}, "1984년 3월 7일"),
    ("japanese key with marks", {"パスワード": "tsubame-88"}, "tsubame-88"),
    ("hindi key", {"जन्म तिथि": "07/03/1984"}, "07/03/1984"),
    ("hindi name among people", {"नाम": "कविता राव", "मोबाइल नंबर": "9811122233"}, "कविता राव"),
    ("hindi label", "मरीज का नाम: कविता राव\nउम्र: 41", "कविता राव"),
    ("hindi title", "डॉ. राव ने देखा", "राव"),
    ("arabic label", "اسم المريض: سامي الكيلاني، العمر 41", "سامي الكيلاني"),
    ("arabic title", "حضر السيد سامي الكيلاني، وقال", "سامي الكيلاني"),
    ("arabic birth", "تاريخ الميلاد: 07/03/1984", "07/03/1984"),
    ("arabic number of a state", "رقم الهوية الوطنية 1088112233", "1088112233"),
    ("arabic digits", "رقم جوالي ٠٥٥٨١١٢٢٣٣", "٠٥٥٨١١٢٢٣٣"),
    ("japanese label", "氏名 大野 真理 生年月日 1984年3月7日", "大野 真理"),
    ("japanese birth", "氏名 大野 真理 生年月日 1984年3月7日", "1984年3月7日"),
    ("japanese honorific", "昨日、大野さんに会いました", "大野"),
    ("korean honorific", "한지우 님께 보냈습니다", "한지우"),
    ("chinese honorific", "请联系欧阳婷女士", "欧阳婷"),
    ("speaker", "[09:43] 欧阳婷: ok", "欧阳婷"),
    ("beside a mail", "한지우 <x@mail.example>", "한지우"),
    ("address book", "FN:한지우\nTEL:1", "한지우"),
    ("japanese address", "本社は東京都港区芝公園4-2-8 東ビル301号室です", "港区芝公園4-2-8"),
    ("chinese address", "请寄到江苏省南京市鼓楼区中山北路30号2栋501室", "中山北路30号2栋501室"),
    ("korean address", "사무실은 대전광역시 유성구 대학로 99 (궁동)입니다", "유성구 대학로 99"),
    ("arabic address", "إلى شارع الجامعة، حي السلام، جدة 21442.", "شارع الجامعة، حي السلام، جدة 21442"),
    ("indian address", "पता: मकान नं. 7, सेक्टर 9, गाज़ियाबाद 201010", "सेक्टर 9"),
    ("name among latin", 'alt="欧阳婷" src="/u.png"', "欧阳婷"),
    ("japanese name among latin", "call 三浦拓 back", "三浦拓"),
    ("hebrew name among latin", "person=נועה פרידמן\ntel=1", "נועה פרידמן"),
    ("korean customer", "한지우 고객님, 예약되었습니다", "한지우"),
    ("russian end of a letter", "С уважением,\nВарвара Терентьева", "Варвара Терентьева"),
    (
        "ukrainian address",
        "не прийшла на адресу вул. Саксаганського, 44, кв. 12, Київ, 01033",
        "Саксаганського, 44, кв. 12",
    ),
    ("russian birth", "Пациент 13.11.1942 г.р.", "13.11.1942"),
    ("password of something", "пароль от вайфая tsubame88", "tsubame88"),
    ("russian label", "Отчество: Павловна\nТел.: 916 123-45-67", "916 123-45-67"),
]
HARMLESS: list[Json] = [
    "パスワードを忘れた場合",
    "密码错误,请重试",
    "비밀번호를 잊으셨나요?",
    "您的订单号是20441799",
    "お客様各位",
    "고객님, 안녕하세요.",
    "साढ़े 5 बजे बैठक है",
    "الاجتماع الساعة 10:30 في القاعة 204",
    "版本号: 2.14.1",
    "第3章 第12节",
    {"이미지": "강아지", "파일이름": "보고서.pdf"},
    {"user": "你好"},
    "价格:1299元,数量:3",
    "Дата отгрузки: 04.03.2025, заказ 88213",
    "κωδικός προϊόντος 204417",
    "the button 送信 is broken",
    "shows 注文番号 instead of 商品名",
]


@pytest.mark.parametrize(("payload", "hidden"), [each[1:] for each in HIDDEN], ids=[each[0] for each in HIDDEN])
def test_what_is_said_in_another_script_is_found(payload: Json, hidden: str) -> None:
    """Half of the world's payloads are not in Latin letters."""
    assert hidden in str(payload)
    redacted = redact_payload(Redactor(PRESETS["default"].patterns_only(), KEY), payload)
    assert hidden not in str(redacted.payload)


@pytest.mark.parametrize("payload", HARMLESS, ids=str)
def test_what_only_looks_like_it_in_another_script_stays(payload: Json) -> None:
    """A label without a value, and a number of something else, are nobody's."""
    assert payload == redact_payload(Redactor(PRESETS["default"].patterns_only(), KEY), payload).payload


@pytest.mark.parametrize(
    ("key", "entity"),
    [
        ("비밀번호", "PASSWORD"),
        ("登録パスワード", "PASSWORD"),
        ("患者氏名", "PERSON"),
        ("배송 주소", "ADDRESS"),
        ("मोबाइल नंबर", "PHONE"),
        ("تاريخ الميلاد", "DATE_OF_BIRTH"),
        ("ΑΜΚΑ", "NATIONAL_ID"),
        ("파일이름", ""),
        ("商品名", ""),
    ],
)
def test_keys_in_other_scripts_mean_the_same_as_labels(key: str, entity: str) -> None:
    """One table serves both; a syllable with a mark on it is still the table's."""
    assert entity == entity_of_key(key)


def test_a_name_without_capitals_is_one_by_its_form() -> None:
    """Callers ask before they take what stands beside a role for somebody."""
    assert all(map(is_name, ("欧阳婷", "한지우", "कविता राव", "سامي الكيلاني", "大野 真理")))
    assert not any(map(is_name, ("你好", "안녕하세요", "नमस्ते", "مرحبا")))
