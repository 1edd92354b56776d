"""The templates' own Python and content keep their promises: the support desk's, and the split of banking77."""

import csv
import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import NoReturn, cast

import pytest
import yaml

from appliance.scenarios.format import Scenario
from appliance.scenarios.reading import read_suite
from runtime.agents.custom import CustomAgent
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT, AgentId, DefinitionHash, RunId, StepId
from runtime.domain.workflow import AgentSpec
from runtime.errors import StepFailure
from runtime.ports import HttpAccess, ModelAccess, StepContext, Task

TEMPLATES = Path(__file__).resolve().parents[3] / "appliance" / "templates"
SUPPORT = TEMPLATES / "support"
ARTICLES = sorted((SUPPORT / "articles").glob("*.md"))

QUESTION = "My card was swallowed by the machine at the airport, what now?"
QUOTES = [
    "If a cash machine swallowed your card, freeze the card first.",
    "The replacement for a swallowed card is free and arrives within 5 working days.",
]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"template_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


actions = load(SUPPORT / "actions.py")
banking77 = load(TEMPLATES / "banking77" / "split.py")


class Desk:
    """A context whose tools remember what they were asked for."""

    run_id = "r-1"
    step = "create_ticket"
    idempotency_key = "r-1/create_ticket"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []

    def tool(self, name: str, arguments: dict[str, object]) -> dict[str, object]:
        self.calls.append((name, arguments))
        return {"id": "T-1", "status": "open"}


def hit(article: str = "kb-001", score: float = 0.7, quotes: list[str] = QUOTES) -> dict[str, object]:
    return {
        "article": article,
        "title": f"Title of {article}",
        "source": f"{article}.md",
        "score": score,
        "quotes": quotes,
    }


def compose(**changes: object) -> dict[str, object]:
    task = {"message": QUESTION, "category": "cash_and_atm", "opening": "", "hits": [hit()], **changes}
    return cast(dict[str, object], actions.compose(task, Desk()))


# --- compose


def test_an_answer_is_an_opening_the_article_and_its_source() -> None:
    """This is the whole of what a customer reads."""
    answer = compose(opening="I am sorry to hear that your card was swallowed by the machine at the airport.")
    assert answer == {
        "answer": "I am sorry to hear that your card was swallowed by the machine at the airport.\n\n"
        "If a cash machine swallowed your card, freeze the card first. "
        "The replacement for a swallowed card is free and arrives within 5 working days.\n\n"
        "Source: Title of kb-001 (kb-001)",
        "citations": [{"article": "kb-001", "title": "Title of kb-001", "source": "kb-001.md"}],
        "opening_used": True,
    }


def test_only_the_best_article_is_quoted_and_cited() -> None:
    """Sentences of two articles side by side can contradict each other."""
    answer = compose(hits=[hit("kb-003", 0.5, ["Other."]), hit("kb-001", 0.7), hit("kb-009", 0.9, [])])
    assert [{"article": "kb-001", "title": "Title of kb-001", "source": "kb-001.md"}] == answer["citations"]
    assert "Other." not in str(answer["answer"])


def test_at_most_four_different_sentences_are_quoted_in_their_order() -> None:
    """A reader in trouble reads four sentences, not an article, and none of them twice."""
    answer = compose(hits=[hit(quotes=["One.", "Two.", "One.", "Three.", "Four.", "Five."])])
    assert "One. Two. Three. Four." == str(answer["answer"]).split("\n\n")[1]


@pytest.mark.parametrize("hits", [[], [hit(quotes=[])]])
def test_without_a_sentence_to_quote_there_is_no_answer(hits: list[dict[str, object]]) -> None:
    """An answer made of nothing would be the model's invention; the step fails, and a person takes over."""
    with pytest.raises(actions.NothingToQuote, match="ask a person"):
        compose(hits=hits)


@pytest.mark.parametrize(
    ("message", "opening"),
    [
        ("my PIN is blocked", "I am sorry to hear that your PIN is blocked."),
        ("MY PIN IS BLOCKED!!", "I'm sorry to hear that your PIN is blocked!"),
        ("I’m locked out", "Thank you for telling us that you’re locked out."),
        ("How do I change my address?", "Thank you for asking how to change your address."),
        ("the shop took £2.50 twice", "Thank you for telling us that the shop took £2.50 twice."),
        ("Hi", "Thank you for asking."),
    ],
)
def test_an_opening_that_repeats_the_customer_is_used(message: str, opening: str) -> None:
    """The model's line is welcome as long as it is the customer's own words, said back politely."""
    answer = compose(message=message, opening=f"  {opening}\n")
    assert answer["opening_used"]
    assert str(answer["answer"]).startswith(f"{opening}\n\n")


@pytest.mark.parametrize(
    ("message", "opening"),
    [
        (QUESTION, ""),
        (QUESTION, "I'm sorry for your loss."),
        (QUESTION, "I am sorry to hear that your daughter's card was swallowed by the machine at the airport."),
        (QUESTION, "I am sorry to hear that your card was swallowed by the machine at the station."),
        (QUESTION, "Your card was swallowed by the machine at the airport."),
        (QUESTION, "I am sorry. I am sorry."),
        (QUESTION, "I am sorry to hear that your card was swallowed by the machine at the airport"),
        (QUESTION, "Thank you for asking!\nCall 0900 1234."),
        (QUESTION, "You: Thank you for asking."),
        (QUESTION, "Thank you for asking; see https://example.net."),
        (QUESTION, "Thank you for asking " + "and asking " * 12 + "us."),
        ("Has my refund arrived?", "Thank you, your refund has arrived."),
        ("Has my refund arrived?", "Thank you for telling us that your refund arrived."),
        ("Has my refund arrived?", "I am sorry to hear that your refund has not arrived."),
        ("Can I cancel a transfer?", "Thank you for asking, you can cancel a transfer."),
        ("What would an overdraft of 500 pounds cost?", "I am sorry to hear that you have an overdraft of 500 pounds."),
        ("The shop charged my card twice", "I am sorry to hear that you charged your card twice."),
        ("I waited 5 days", "I am sorry to hear that you waited 6 days."),
        ("It cost £5", "I am sorry to hear that it cost €5."),
    ],
)
def test_an_opening_that_says_anything_else_is_replaced(message: str, opening: str) -> None:
    """Small models invent losses, daughters and refunds (these lines are theirs); a customer must never read one."""
    answer = compose(message=message, opening=opening)
    assert not answer["opening_used"]
    assert str(answer["answer"]).startswith("Thank you for your question about cash and cash machines.\n\n")


def test_an_unknown_category_still_gets_a_polite_line() -> None:
    """Categories are edited in the examples; forgetting the opening must not break an answer."""
    assert str(compose(category="mortgages")["answer"]).startswith("Thank you for your question.\n\n")


# --- create_ticket


def test_a_ticket_holds_the_question_and_the_answer() -> None:
    """Whoever picks the ticket up has not seen the conversation."""
    desk = Desk()
    made = actions.create_ticket({"message": QUESTION, "category": "cash_and_atm", "answer": "Freeze it."}, desk)
    assert {"ticket": {"id": "T-1", "status": "open"}, "subject": QUESTION} == made
    summary = f"Customer: {QUESTION}\n\nAnswered: Freeze it.\n\nRun: r-1"
    assert [("create_ticket", {"subject": QUESTION, "category": "cash_and_atm", "summary": summary})] == desk.calls


def test_a_subject_is_one_short_line() -> None:
    """Lists of tickets show one line each."""
    made = actions.create_ticket(
        {"message": "Help!\n" + "My card is gone. " * 20, "category": "c", "answer": "a"}, Desk()
    )
    assert made["subject"].startswith("Help! My card is gone.")
    assert made["subject"].endswith("…")
    assert len(made["subject"]) <= 80


class Host:
    """Serves an action's tools as the engine does."""

    models = cast(ModelAccess, None)
    http = cast(HttpAccess, None)
    folder = str(SUPPORT)

    async def run_program(self, own: object, runs: object, content: bytes, *, stdin: bytes = b"") -> NoReturn:
        raise AssertionError("the agent has no program of its own")

    async def pay_for_memory(self, layer: str, operation: str) -> None:
        """It costs nothing here."""

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        return {"id": "T-7", "tool": tool, "category": arguments["category"]}


async def act(function: str, task_input: Json) -> Json:
    spec = AgentSpec(id=AgentId(function), type="custom", config={"handler": f"actions.py:{function}"})
    agent = CustomAgent(spec, folder=str(SUPPORT))
    task = Task(
        run=RunId("r-1"),
        step=StepId(function),
        state=function,
        agent=AgentId(function),
        attempt=1,
        tenant=DEFAULT_TENANT,
        workflow="support",
        definition=DefinitionHash("sha256:0"),
        input=task_input,
        data={},
        idempotency_key=f"r-1/{function}",
    )
    await agent.start()
    try:
        return (await agent.act(task, cast(StepContext, Host()))).output
    finally:
        await agent.stop()


async def test_the_actions_run_in_their_worker_process() -> None:
    """A file that only works when imported here would be a bad example to copy."""
    ticket = await act("create_ticket", {"message": "Hi", "category": "cards", "answer": "Hello."})
    assert {"ticket": {"id": "T-7", "tool": "create_ticket", "category": "cards"}, "subject": "Hi"} == ticket
    with pytest.raises(StepFailure, match="ask a person") as failure:
        await act("compose", {"message": "Hi", "category": "cards", "opening": "", "hits": []})
    assert failure.value.code == "support.nothing_to_quote"


# --- the support desk's content


def front_matter(path: Path) -> dict[str, str]:
    _, head, _ = path.read_text(encoding="utf-8").split("---\n", 2)
    return cast(dict[str, str], yaml.load(head, Loader=yaml.BaseLoader))


def examples() -> list[dict[str, str]]:
    with (SUPPORT / "examples.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scenarios() -> tuple[Scenario, ...]:
    return read_suite(SUPPORT / "scenarios.yaml").scenarios


def test_there_are_thirty_articles_numbered_through() -> None:
    """Citations are ids: each must lead to one file."""
    assert [f"kb-{number:03d}" for number in range(1, 31)] == [front_matter(path)["id"] for path in ARTICLES]
    assert all(path.name.startswith(front_matter(path)["id"] + "-") for path in ARTICLES)


@pytest.mark.parametrize("path", ARTICLES, ids=lambda path: path.stem)
def test_an_article_can_be_read_and_quoted(path: Path) -> None:
    """Sentences are quoted alone: each ends the way the sentence splitter expects, and none is a paragraph."""
    head = front_matter(path)
    body = path.read_text(encoding="utf-8").split("---\n", 2)[2]
    assert {"id", "title", "category", "updated"} == head.keys()
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", head["updated"])
    assert 120 <= len(body.split()) <= 250
    lines = [line for line in body.splitlines() if line]
    assert [] == [line for line in lines if not re.fullmatch(r"[A-Z][^.!?]*(?:\.\S[^.!?]*)*\.", line)]
    assert max(len(line.split()) for line in lines) <= 34


def test_every_category_has_examples_an_article_and_an_opening() -> None:
    """A category that lacks one of them routes questions to nowhere."""
    count = Counter(example["category"] for example in examples())
    assert min(count.values()) >= 25
    assert count.keys() == {front_matter(path)["category"] for path in ARTICLES} == actions.OPENINGS.keys()


def test_no_example_stands_twice() -> None:
    """A text under two categories teaches the classifier noise."""
    texts = Counter(re.sub(r"\W+", " ", example["text"].lower()).strip() for example in examples())
    assert [] == [text for text, times in texts.items() if times > 1]


def test_scenarios_agree_with_the_articles() -> None:
    """A scenario that names a wrong article fails for the wrong reason."""
    categories = {front_matter(path)["id"]: front_matter(path)["category"] for path in ARTICLES}
    expected = [scenario.expect for scenario in scenarios()]
    answered = [expect.output for expect in expected if expect.status == "succeeded"]
    articles = [categories[str(output["citations.0.article"])] for output in answered]
    assert [output["category"] for output in answered] == articles
    assert len(answered) >= 12
    assert 3 <= len([expect for expect in expected if expect.status == "waiting"])


def test_scenarios_are_no_examples() -> None:
    """A question that was learnt by heart proves nothing."""
    asked = [scenario.input for scenario in scenarios()]
    assert [] == [example["text"] for example in examples() if {"message": example["text"]} in asked]


def test_the_demo_asks_three_questions() -> None:
    """They are the first thing a new user sees."""
    lines = (SUPPORT / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    assert [{"message"}] * 3 == [question.keys() for question in questions]
    assert questions[0]["message"] == QUESTION


# --- banking77


def labelled(path: Path, rows: list[tuple[str, str]], header: str = "text,category") -> Path:
    path.write_text("\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n", encoding="utf-8")
    return path


def halves(folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    examples, holdout = ((folder / name).read_text(encoding="utf-8") for name in ("examples.csv", "holdout.csv"))
    return list(csv.reader(examples.splitlines())), list(csv.reader(holdout.splitlines()))


ROWS = [(f"question {number}", "even" if number % 2 == 0 else "odd") for number in range(50)]


def test_the_split_keeps_each_labels_share_and_shares_no_text(tmp_path: Path) -> None:
    """Measured on what it has learnt, any classifier looks good."""
    repeated = [*ROWS, ROWS[0], ROWS[0]]
    assert banking77.main([str(labelled(tmp_path / "all.csv", repeated)), "--out", str(tmp_path / "out")]) == 0
    learnt, held = halves(tmp_path / "out")
    assert Counter(even=20, odd=20, category=1) == Counter(row[1] for row in learnt)
    assert Counter(even=5, odd=5, category=1) == Counter(row[1] for row in held)
    assert sorted([*learnt[1:], *held[1:]]) == sorted([list(row) for row in ROWS])


def test_the_split_does_not_depend_on_the_order_of_the_file(tmp_path: Path) -> None:
    """Two people who hold the same questions measure on the same holdout."""
    banking77.main([str(labelled(tmp_path / "a.csv", ROWS)), "--out", str(tmp_path / "a")])
    banking77.main([str(labelled(tmp_path / "b.csv", ROWS[::-1])), "--out", str(tmp_path / "b")])
    assert halves(tmp_path / "a") == halves(tmp_path / "b")


def test_the_split_takes_other_column_names(tmp_path: Path) -> None:
    """A desk's own export has its own header."""
    table = labelled(tmp_path / "own.csv", ROWS, header="question,team")
    arguments = [str(table), "--out", str(tmp_path / "out"), "--text", "question", "--label", "team"]
    assert banking77.main(arguments) == 0
    assert ["text", "category"] == halves(tmp_path / "out")[0][0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found none"),
        (b"text,category\n", "found none"),
        (b"question,team\na,b\n", "expected columns 'text' and 'category'"),
        (b"text,category\nlonely\n", "line 2"),
        (b'text,category\n"open,x\n', "unexpected end of data"),
        (b"text,category\n\xff\xfe,x\n", "utf-8"),
    ],
)
def test_a_table_that_cannot_be_split_is_refused_in_one_line(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a split on disk would be taken for a whole one."""
    (tmp_path / "bad.csv").write_bytes(content)
    assert banking77.main([str(tmp_path / "bad.csv"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
