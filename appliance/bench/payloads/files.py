"""Templates of texts that have a form of their own: tables, messages of hospitals, logs, settings, pages."""

import csv
import io
from urllib.parse import quote, quote_plus

from appliance.bench.payloads.facts import Facts
from appliance.bench.payloads.talk import Template
from runtime.domain.canonical import Json


def _table(rows: list[list[str]], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def customers_csv(f: Facts) -> Json:
    rows = [["id", "first_name", "last_name", "email", "phone", "dob", "plan"]]
    for number in range(1, 4):
        first, last = f.gold("PERSON", f.fake.first_name()), f.gold("PERSON", f.fake.last_name())
        rows.append([str(number), first, last, f.email(), f.phone(), f.birth(), f.keep(f.pick("basic", "plus"))])
    return _table(rows, f.pick(",", ",", ";", "\t"))


def payments_csv(f: Facts) -> Json:
    rows = [["Order", "Customer Name", "Card Number", "Amount", "SKU", "Status"]]
    for _ in range(3):
        rows.append([f.order(), f.other_name(), f.card(), f.price(), f.sku(), f.keep("settled")])
    return {"file": f.keep("payments.csv"), "content": _table(rows, ",")}


def patients_csv(f: Facts) -> Json:
    rows = [["MRN", "Patient", "DOB", "Ward", "Insurance ID", "Postcode"]]
    for _ in range(2):
        rows.append([f.record(), f.other_name(), f.birth(), f.keep("W" + f.digits(1)), f.member(), f.postcode()])
    return _table(rows, ",")


def markdown_table(f: Facts) -> Json:
    lines = ["| Employee | E-mail | Department | Extension |", "| --- | --- | --- | --- |"]
    for _ in range(3):
        lines.append(f"| {f.other_name()} | {f.email()} | {f.keep(f.pick('Finance', 'Sales', 'IT'))} | 12 |")
    return "\n".join(lines)


def hl7(f: Facts) -> Json:
    at = f.keep("2024" + f.digits(1) + "0101")
    given = f.gold("PERSON", f.first)
    return "\r".join(
        (
            f"MSH|^~\\&|ADT1|{f.keep('MCM')}|LABADT|MCM|{at}||ADT^A01|{f.keep('MSG' + f.digits(5))}|P|2.4",
            f"PID|1||{f.record()}^^^MCM^MR||{f.family()}^{given}^{f.letters(1)}||{f.birth_compact()}|"
            f"{f.pick('M', 'F')}|||{f.street()}^^{f.keep('X')}^^{f.postcode()}||{f.phone()}|||S",
            f"NK1|1|{f.gold('PERSON', f.fake.last_name())}^{f.gold('PERSON', f.fake.first_name())}|SPO",
            "PV1|1|I|2000^2012^01||||004777^ATTEND^^^^",
            f"OBX|1|NM|{f.keep('8867-4')}^Heart rate^LN||71|bpm|60-100|N|||F",
        )
    )


def access_log(f: Facts) -> Json:
    return (
        f'{f.ip()} - - [{f.moment()}] "GET /account?email={quote(f.email())} HTTP/1.1" 200 512 "-" "curl/8.5.0"\n'
        f'{f.ip()} - - [{f.moment()}] "GET /{f.keep("static/app")}.js HTTP/1.1" 304 0 "-" "curl/8.5.0"\n'
    )


def app_log(f: Facts) -> Json:
    return (
        f"{f.moment()} INFO  [{f.code()}] order {f.order()} accepted, user={f.email()} total={f.price()}\n"
        f"{f.moment()} WARN  [{f.code()}] retry 2/5 after {f.error()}, request_id={f.uuid()}\n"
        f"{f.moment()} ERROR [{f.code()}] login of {f.name()} from {f.ip()} failed, token={f.jwt()}\n"
    )


def stack_trace(f: Facts) -> Json:
    return (
        f'Traceback (most recent call last):\n  File "/srv/app/{f.keep("billing.py")}", '
        f"line 88, in {f.keep('charge')}\n"
        f"    gateway.pay(card, amount)\nValueError: card '{f.card()}' of customer "
        f"'{f.name()}' was declined: {f.error()}\n"
        f"    at {f.keep('com.acme.pay.Gateway.submit')}(Gateway.java:112)\n"
    )


def python_locals(f: Facts) -> Json:
    return (
        f"KeyError: {f.code()!r}\nlocals = {{'user': {{'first_name': '{f.given()}', 'last_name': '{f.family()}', "
        f"'email': '{f.email()}'}}, 'attempt': 3, 'password': '{f.password()}', 'sku': '{f.sku()}'}}"
    )


def sql(f: Facts) -> Json:
    label, number = f.national()
    column = "ssn" if label in ("SSN", "social security number") else "national_id"
    return (
        f"INSERT INTO customers (id, first_name, last_name, email, {column}, plan) VALUES\n  (1, '{f.given()}', "
        f"'{f.family()}', '{f.email()}', '{number}', '{f.keep('basic')}');\n"
        f"SELECT sku, total FROM orders WHERE sku = '{f.sku()}' AND status = '{f.keep('open')}';"
    ).replace("''", "'")


def sql_where(f: Facts) -> Json:
    return {
        "query": f"UPDATE users SET phone = '{f.phone()}' WHERE email = '{f.email()}' AND version = '{f.version()}'",
        "database": f.keep("crm"),
    }


def xml(f: Facts) -> Json:
    return (
        f'<?xml version="1.0"?>\n<order id="{f.order()}"><customer><firstName>{f.given()}</firstName><lastName>'
        f"{f.family()}</lastName><email>{f.email()}</email><birthDate>{f.birth()}</birthDate></customer>"
        f'<item sku="{f.sku()}">{f.product()}</item><payment cardNumber="{f.card()}" currency="EUR"/></order>'
    )


def soap(f: Facts) -> Json:
    return (
        "<soap:Envelope><soap:Header><wsse:UsernameToken><wsse:Username>svc</wsse:Username><wsse:Password>"
        f"{f.password()}</wsse:Password></wsse:UsernameToken></soap:Header><soap:Body><GetPat"
        f"ient><mrn>{f.record()}</mrn>"
        f"<version>{f.version()}</version></GetPatient></soap:Body></soap:Envelope>"
    )


def settings_yaml(f: Facts) -> Json:
    return (
        f"server:\n  host: {f.keep('0.0.0.0')}\n  port: {f.keep('8443')}\ndatabase:\n  url: "
        f"postgresql://app:{f.password()}@db.internal:5432/app\n  pool_size: 20\nsmtp:\n  user: {f.email()}\n"
        f"  password: {f.password()}\nllm:\n  model: {f.keep('llama-3-8b')}\n  max_tokens: "
        f"4096\n  api_key: {f.drawn()}\n"
    )


def env_file(f: Facts) -> Json:
    return (
        f"NODE_ENV={f.keep('production')}\nLOG_LEVEL={f.keep('debug')}\nDB_PASSWORD={f.password()}\n"
        f"AWS_SECRET_ACCESS_KEY={f.drawn(40)}\nSTRIPE_KEY={f.key()}\nADMIN_EMAIL={f.email()}\n"
        f"MAX_TOKENS=4096\nAPP_VERSION={f.version()}\nJWT_SECRET={f.drawn(32)}\n"
    )


def shell(f: Facts) -> Json:
    return (
        f"curl -u {f.keep('deploy')}:{f.password()} -H 'Authorization: Bearer {f.jwt()}' {f.url()}\n"
        f"sshpass -p '{f.password()}' ssh deploy@{f.ip()}\n"
        f"mysql -h db -u root --password={f.password()} -e 'select 1'\ngit checkout {f.sha()}\n"
    )


def private_key(f: Facts) -> Json:
    lines = "\n".join(f._drawn(64) for _ in range(4))
    f.secret("PRIVATE_KEY", lines.split("\n")[1])
    head, foot = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
    return f"Deploy with this key:\n{head}\n{lines}\n{foot}\nfor {f.product()}"


def raw_headers(f: Facts) -> Json:
    return (
        f"GET /v2/orders/{f.keep(f.digits(6))} HTTP/1.1\r\nHost: "
        f"api.example.com\r\nAuthorization: Token {f.drawn(40)}\r\n"
        f"Cookie: sid={f.session()}; lang={f.keep('en')}\r\nX-Real-IP: {f.ip()}\r\nAccept: "
        f"{f.keep('application/json')}\r\n"
    )


def url_query(f: Facts) -> Json:
    mail, name = quote_plus(f.email()), f.gold("PERSON", quote_plus(f"{f.first} {f.last}"))
    return (
        f"https://shop.example.com/checkout?email={mail}&name={name}&order={f.keep(f.digits(6))}&utm_source="
        f"{f.keep('newsletter')}&phone={f.gold('PHONE', quote_plus('+44 20 7946 0' + f.digits(3)))}"
    )


def reset_link(f: Facts) -> Json:
    return {
        "action": "open",
        "url": f"https://app.example.com/reset?token={f.session()}&user={quote(f.email())}&lang={f.keep('en-GB')}",
    }


def form(f: Facts) -> Json:
    return (
        f"first_name={f.given()}&last_name={quote_plus(f.family())}&dob={quote_plus(f.birth())}"
        f"&password={f.password()}&quantity={f.keep('17')}&sku={f.sku()}"
    ).replace("\n", "")


def multipart(f: Facts) -> Json:
    edge = f"----boundary{f.digits(6)}"
    fields = (("full_name", f.name()), ("email", f.email()), ("comment", f"order {f.order()} is {f.keep('late')}"))
    body = "".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields
    )
    return f"{body}--{edge}--\r\n"


def file_names(f: Facts) -> Json:
    first, last = f.first.lower().replace(" ", "_"), f.last.lower().replace(" ", "_")
    return {
        "patient": f"{f.first} {f.last}",
        "attachments": [
            f"{f.gold('PERSON', f'{first}_{last}')}_mrn_{f.gold('MEDICAL_RECORD', f.digits(6))}.pdf",
            f"scan-{f.keep('0042')}.tiff",
            f.keep("release-notes-3.2.1.md"),
        ],
    }


def key_values(f: Facts) -> Json:
    return (
        f"Name: {f.name()}\nPhone: {f.phone()}\nAddress: {f.street()}\nPlan: {f.keep('Enterprise')}\n"
        f"Renewal: {f.moment()}\nAccount number: {f.account()}\nReference: {f.order()}\n"
    )


def code_only(f: Facts) -> Json:
    return (
        f"const {f.keep('tokenCount')} = countTokens(text, {{ max_tokens: 1024, model: '{f.keep('gpt-4o')}' }});\n"
        f"if (user.{f.keep('isPasswordValid')}) {{ log.info('{f.word()} ok', {{ id: '{f.uuid()}' }}); }}\n"
        f"// {f.code()} since {f.version()}, see {f.url()}\nexport const "
        f"{f.keep('PUBLIC_KEY_PATH')} = './{f.keep('keys')}';\n"
    )


def diff(f: Facts) -> Json:
    return (
        f"diff --git a/{f.keep('src/app.py')} b/src/app.py\nindex "
        f"{f.keep(f._drawn(7, '0123456789abcdef'))}..a1b2c3d 100644\n"
        f"@@ -1,4 +1,4 @@\n-API_KEY = '{f.key()}'\n+API_KEY = "
        f"os.environ['{f.keep('API_KEY')}']\n {f.code()}(max_tokens=256)\n"
    )


FILES: tuple[Template, ...] = (
    customers_csv, payments_csv, patients_csv, markdown_table, hl7, access_log, app_log, stack_trace, python_locals,
    sql, sql_where, xml, soap, settings_yaml, env_file, shell, private_key, raw_headers, url_query, reset_link, form,
    multipart, file_names, key_values, code_only, diff,
)  # fmt: skip
