"""Templates of what people write: prompts, conversations, letters, tickets, notes."""

from collections.abc import Callable

from appliance.bench.payloads.facts import Facts
from runtime.domain.canonical import Json

Template = Callable[[Facts], Json]


def _said(*turns: str) -> Json:
    return [{"role": ("user", "assistant")[number % 2], "content": turn} for number, turn in enumerate(turns)]


def support_prompt(f: Facts) -> Json:
    return (
        f"Write a polite answer to {f.name()} ({f.email()}), who asks where order {f.order()} is. "
        f"It left the warehouse on {f.weekday()} and holds one {f.product()}. Their number is {f.phone()}."
    )


def bank_prompt(f: Facts) -> Json:
    return (
        f"Customer {f.name()} says a payment of {f.price()} from card {f.card()} was taken twice. Refund to "
        f"{f.iban()} and close {f.order()}. The {f.word()} team saw {f.error()} at {f.moment()}."
    )


def clinic_note(f: Facts) -> Json:
    return (
        f"Pt {f.name()}, DOB {f.birth()}, MRN {f.record()}, seen for follow-up after {f.word()}. BP 128/82, HR 71, "
        f"metformin {f.keep('500 mg')} twice daily. Next visit on {f.weekday()}. Insurance member ID: {f.member()}."
    )


def discharge(f: Facts) -> Json:
    return (
        f"DISCHARGE SUMMARY\nPatient: {f.listed_name()}\nDate of birth: {f.birth()}\nMRN: {f.record()}\n"
        f"Attending: Dr. {f.other_name()}\n\nAdmitted with pneumonia, treated with {f.keep('ceftriaxone')} for 5 days."
        f" No known {f.word()} issues. Call {f.phone()} with questions."
    )


def moved(f: Facts) -> Json:
    return (
        f"Hi, I moved last week. My new address is {f.address()}. Please send the {f.product()} there and not to the "
        f"old one. Order {f.order()}, paid {f.price()}. Thanks, {f.given()}"
    )


def identity(f: Facts) -> Json:
    label, number = f.national()
    return (
        f"My {label} is {number} and my passport number is {f.passport()}. I was born on {f.birth()}. Is the "
        f"{f.word()} form {f.keep('W-8BEN')} still needed in version {f.version()}?"
    )


def letter(f: Facts) -> Json:
    name = f.name()
    return (
        f"From: {name} <{f.email()}>\nTo: support@shop.example\nSubject: {f.order()} is late\n"
        f"Date: {f.moment()}\n\nHello,\n\nmy {f.product()} has not come. You can reach me at {f.phone()}.\n\n"
        f"Kind regards,\n{f.gold('PERSON', f.first + ' ' + f.last)}\n{f.street()}\n"
    )


def chat_card(f: Facts) -> Json:
    return _said(
        f"hello, i want to pay invoice {f.order()}",
        "Sure. Which card shall I charge?",
        f.card(),
        "And the security code?",
        f.gold("PAYMENT_CARD", f.digits(3)),
        f"Thank you, {f.price()} is paid.",
    )


def chat_verify(f: Facts) -> Json:
    return _said(
        "I can't log in",
        "What is your full name?",
        f.name(),
        "And your date of birth?",
        f.birth(),
        "What is the best phone number to reach you?",
        f.phone(),
        f"Thanks. Error {f.error()} comes from {f.product()} {f.version()}; it will be gone by {f.weekday()}.",
    )


def chat_names(f: Facts) -> Json:
    return _said(
        f"This is {f.name()} calling about ticket {f.order()}.",
        f"Good morning {f.given()}, how can I help?",
        f"The {f.product()} shows {f.error()}. My colleague {f.other_name()} has it too.",
        f"I see. Mr {f.family()}, please restart it and write to {f.email()} on {f.weekday()}.",
    )


def chat_password(f: Facts) -> Json:
    return _said(
        f"the wifi password is {f.password()} but {f.product()} refuses it",
        f"Did you try {f.url()}?",
        f"yes, user {f.keep('admin')}, {f.error()} again",
    )


def chat_system(f: Facts) -> Json:
    return {
        "model": f.keep("gpt-4o-mini"),
        "max_tokens": 4096,
        "messages": [
            {"role": "system", "content": f"You help {f.name()}, customer since 2019, plan {f.keep('Premium')}."},
            {"role": "user", "content": f"Change my e-mail to {f.email()} and my phone to {f.phone()}."},
        ],
        "metadata": {"request_id": f.uuid(), "trace": f.sha()},
    }


def meeting(f: Facts) -> Json:
    first, second = f.other_name(), f.other_name()
    return (
        f"Minutes, {f.weekday()}\n- {first} presented the {f.word()} plan for {f.product()}.\n- {second} will ask "
        f"{f.name()} for the numbers.\n- Budget {f.price()}; next step: {f.code()} in release {f.version()}.\n"
    )


def secret_in_prose(f: Facts) -> Json:
    return (
        f"Use the API key {f.key()} for the staging gateway, and database password {f.password()} for the replica. "
        f"The pipeline at {f.url()} failed with {f.error()} in commit {f.sha()}."
    )


def login_help(f: Facts) -> Json:
    return (
        f"User can't sign in since {f.moment()}. username: {f.email()} password: {f.password()} — last seen from "
        f"{f.ip()}, device {f.mac()}. {f.product()} version {f.version()}, ticket {f.order()}."
    )


def code_review(f: Facts) -> Json:
    return (
        f"Review this:\n```python\ndef load({f.keep('session_key')}: str, max_tokens: int = 4096) -> None:\n"
        f"    client = Client(timeout=30)\n    client.{f.keep('fetch_users')}(limit=100)  # see {f.url()}\n```\n"
        f"It uses {f.code()} and {f.code()}, and fails with {f.error()} on {f.product()} {f.version()}."
    )


def harmless_question(f: Facts) -> Json:
    return (
        f"Compare {f.product()} and {f.product()} for a {f.word()} system. We run version {f.version()}, "
        f"build {f.sha()}, since {f.moment()}. SKU {f.sku()} costs {f.price()}. What does {f.error()} mean? "
        f"Answer by {f.weekday()}, in at most {f.keep('250')} words."
    )


def hr_note(f: Facts) -> Json:
    label, number = f.national()
    return (
        f"New hire: {f.name()}, starting on {f.weekday()}. {label}: {number}. Home address: {f.address()}. Salary goes "
        f"to account number {f.account()}, sort code {f.sort_code()}. Laptop: {f.product()}, asset {f.sku()}."
    )


def emergency(f: Facts) -> Json:
    return (
        f"Emergency contact: {f.other_name()}, {f.phone()}. Patient {f.name()} (dob "
        f"{f.birth()}) lives at {f.street()}. "
        f"{f.word().capitalize()} noted; see protocol {f.keep('P-114')}."
    )


def delivery(f: Facts) -> Json:
    return (
        f"Courier: gate code does not work. Location {f.place()}, parcel {f.order()}, ring {f.phone()} on arrival. "
        f"Recipient {f.name()}, {f.address()}."
    )


def travel(f: Facts) -> Json:
    return (
        f"Book a flight for {f.listed_name()}, passport {f.passport()}, born {f.birth()}, on {f.weekday()}. "
        f"Pay with {f.card()} and mail the ticket to {f.email()}. Budget {f.price()}."
    )


def summary_request(f: Facts) -> Json:
    return {
        "prompt": f"Summarise the call with {f.name()} about {f.product()} in three lines.",
        "context": f"{f.given()} said the {f.word()} of {f.price()} is wrong. Order {f.order()}. Mail: {f.email()}",
        "temperature": 0.2,
        "max_tokens": 512,
    }


TALK: tuple[Template, ...] = (
    support_prompt, bank_prompt, clinic_note, discharge, moved, identity, letter, chat_card, chat_verify, chat_names,
    chat_password, chat_system, meeting, secret_in_prose, login_help, code_review, harmless_question, hr_note,
    emergency, delivery, travel, summary_request,
)  # fmt: skip
