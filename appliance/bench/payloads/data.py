"""Templates of what programs exchange: arguments and results of tools, records, resources, headers."""

import json

from appliance.bench.payloads.facts import Facts
from appliance.bench.payloads.talk import Template
from runtime.domain.canonical import Json


def tool_call(f: Facts) -> Json:
    arguments: Json = {
        "to": f.email(),
        "subject": f"Order {f.order()}",
        "body": f"Dear {f.name()}, it ships {f.weekday()}.",
    }
    return {
        "tool_calls": [{"id": f.keep("call_" + f.digits(8)), "type": "function",
                        "function": {"name": "send_mail", "arguments": json.dumps(arguments)}}]
    }  # fmt: skip


def customer(f: Facts) -> Json:
    return {
        "customer": {
            "id": f.uuid(),
            "firstName": f.given(),
            "lastName": f.family(),
            "email": f.email(),
            "phone": f.phone(),
            "dob": f.birth(),
            "address": {"street": f.street(), "zip": f.postcode(), "country": f.keep(f.country)},
            "tier": f.keep("gold"),
            "created_at": f.moment(),
        },
        "usage": {"prompt_tokens": 1834, "total_tokens": 2901},
    }


def payment(f: Facts) -> Json:
    return {
        "amount": f.price(),
        "currency": f.keep("EUR"),
        "card": {"number": f.card_number(), "holder": f.name(), "cvc": f.gold("PAYMENT_CARD", f.digits(3)),
                 "exp": "12/27"},
        "billing_address": {"line1": f.street(), "postal_code": f.postcode()},
        "order": f.order(),
        "idempotency_key": f.uuid(),
    }  # fmt: skip


def patient(f: Facts) -> Json:
    return {
        "resourceType": f.keep("Patient"),
        "id": f.keep("example-" + f.digits(3)),
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "system": "urn:oid:1.2.36."
                                        "146.595.217", "value": f.record()}],
        "name": [{"use": "official", "family": f.family(), "given": [f.given()]}],
        "telecom": [{"system": "phone", "value": f.phone()}, {"system": "email", "value": f.email()}],
        "birthDate": f.gold("DATE_OF_BIRTH", f.born.isoformat()),
        "address": [{"line": [f.street()], "postalCode": f.postcode()}],
        "meta": {"versionId": "3", "lastUpdated": f.moment()},
    }  # fmt: skip


def observation(f: Facts) -> Json:
    return {
        "resourceType": f.keep("Observation"),
        "status": f.keep("final"),
        "code": {"coding": [{"system": "http://loinc.org", "code": f.keep("8867-4"), "display": f.keep("Heart rate")}]},
        "subject": {"reference": f"Patient/{f.uuid()}", "display": f.name()},
        "effectiveDateTime": f.moment(),
        "valueQuantity": {"value": 71, "unit": f.keep("beats/minute")},
        "performer": [{"display": f"Dr {f.other_name()}"}],
    }


def rows(f: Facts) -> Json:
    return {
        "columns": ["id", "full_name", "email", "ip_address", "plan"],
        "rows": [
            [number, f.other_name(), f.email(), f.ip(), f.keep(f.pick("free", "pro", "team"))] for number in range(1, 4)
        ],
        "took_ms": 12,
    }


def search_result(f: Facts) -> Json:
    return {
        "tool": "crm.search",
        "result": [
            {"name": f.name(), "contact": f.email(), "last_order": f.order(), "note": f"prefers {f.product()}"},
            {"name": f.other_name(), "contact": f.phone(), "last_order": f.order(), "note": f"waits since "
                                        f"{f.weekday()}"},
        ],
    }  # fmt: skip


def request_headers(f: Facts) -> Json:
    return {
        "Host": f.keep("api.example.com"),
        "User-Agent": f.keep("python-httpx/0.28.1"),
        "Authorization": f"Bearer {f.jwt()}",
        "Cookie": f"theme={f.keep('dark')}; sessionid={f.session()}; csrftoken={f.session()}",
        "X-Forwarded-For": f.ip(),
        "X-Request-Id": f.uuid(),
        "X-Api-Key": f.drawn(),
        "Content-Type": f.keep("application/json"),
    }


def http_request(f: Facts) -> Json:
    return {
        "method": f.keep("POST"),
        "url": f"https://api.example.com/v1/users/{f.uuid()}/orders?page={f.digits(1)}&sort=created_at",
        "headers": {"authorization": f"Basic {f.secret('TOKEN', 'dXNlcjp' + f._drawn(16) + '==')}"},
        "json": {"recipient": {"name": f.name(), "mobile": f.phone()}, "item": f.sku(), "gift": False},
    }


def account_settings(f: Facts) -> Json:
    return {
        "account": {"username": f.keep("svc-billing"), "password": f.password(), "mfa": True},
        "smtp": {"host": f.keep("smtp.example.com"), "port": 587, "auth": {"user": f.email(), "pass": f.password()}},
        "limits": {"max_tokens": 8192, "retries": 3},
        "version": f.version(),
    }


def kubernetes_secret(f: Facts) -> Json:
    import base64

    value = f.password()
    f.sensitive.pop()
    return {
        "apiVersion": "v1",
        "kind": f.keep("Secret"),
        "metadata": {"name": f.keep("db-credentials"), "namespace": f.keep("billing")},
        "data": {"password": f.secret("PASSWORD", base64.b64encode(value.encode()).decode())},
        "type": f.keep("Opaque"),
    }


def webhook(f: Facts) -> Json:
    return {
        "event": f.keep("invoice.paid"),
        "data": {"customer_email": f.email(), "customer_name": f.name(), "iban": f.iban(), "total": f.price()},
        "signature": f.keep("sha256=" + f._drawn(64, "0123456789abcdef")),
        "created": f.keep(f"17{f.digits(8)}"),
    }


def insurance(f: Facts) -> Json:
    label, number = f.national()
    return {
        "claim": f.keep(f"CLM-{f.digits(6)}"),
        "subscriber": {"name": f.listed_name(), "memberId": f.member(),
                       "ssn" if label == "SSN" else "nationalId": number},
        "diagnosis": [f.keep("J45.909"), f.keep("E11.9")],
        "billed": f.price(),
    }  # fmt: skip


def trace_span(f: Facts) -> Json:
    return {
        "name": f.keep("POST /v1/checkout"),
        "trace_id": f.keep(f._drawn(32, "0123456789abcdef")),
        "attributes": {
            "enduser.id": f.email(), "net.peer.ip": f.ip(), "http.response.status_code": 503,
            "exception.type": f.error(),
            "db.statement": f"SELECT id FROM users WHERE email = '{f.email()}' LIMIT 10",
        },
    }  # fmt: skip


def workflow(f: Facts) -> Json:
    return {
        "workflow": f.keep("refund-approval"),
        "steps": [
            {"id": f.keep("collect"), "agent": f.keep("llm"), "max_tokens": 2048},
            {"id": f.keep("approve"), "agent": f.keep("human_task"), "timeout": f.keep("4h")},
        ],
        "input": {"requester": f.name(), "reason": f"{f.word()} is wrong", "amount": f.price(), "order": f.order()},
    }


def telemetry(f: Facts) -> Json:
    return {
        "service": f.keep("checkout"), "version": f.version(), "commit": f.sha(), "host": f.keep("node-17"),
        "region": f.keep("eu-central-1"), "error": f.error(), "started_at": f.moment(),
        "products": [f.product(), f.sku()],
        "image": f.keep("registry.example.com/team/app:1.4.2"), "request_id": f.uuid(), "code": f.code(),
    }  # fmt: skip


def login_event(f: Facts) -> Json:
    return {
        "event_type": f.keep("login_failed"),
        "actor": {"user_id": f.uuid(), "display_name": f.name(), "ip": f.ip(), "mac": f.mac()},
        "geo": {"lat": 48.2, "coordinates": f.place()},
        "at": f.moment(),
    }


DATA: tuple[Template, ...] = (
    tool_call, customer, payment, patient, observation, rows, search_result, request_headers, http_request,
    account_settings, kubernetes_secret, webhook, insurance, trace_span, workflow, telemetry, login_event,
)  # fmt: skip
