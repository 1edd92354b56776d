"""A process for the kill test of triggers: an appliance that they start runs of, and everything that they act on.

    run(FOLDER, NEXT)

NEXT is JSON: the first number of each kind that nobody has acknowledged. `KIND NUMBER` on stdout when one was: a file
or a mail that lies in its folder, a message that is durable, a request that was answered. Without numbers it sends
nothing, works off what there is, and ends.
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402

import msgspec  # noqa: E402

from appliance.api.idempotency import Submissions  # noqa: E402
from appliance.auth.callers import Caller  # noqa: E402
from appliance.config.settings import load_settings  # noqa: E402
from appliance.triggers.desk import Acting, Triggers  # noqa: E402
from appliance.triggers.watching import Watcher  # noqa: E402
from appliance.wiring import Appliance  # noqa: E402
from tests.runtime.bus.samples import said  # noqa: E402

EVERY_US = 10_000
WORKFLOW = """\
name: take
agents:
  say: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}
triggers:
  - {file_drop: {folder: inbox}, input: "file {{ file.name }}"}
  - {mailbox: {folder: mail}, input: "mail {{ mail.subject }}"}
  - {message: {subject: orders.>}, input: "message {{ message.payload }}"}
  - {webhook: {path: /push, secret: s}, input: "request {{ body }}"}
  - {schedule: {every: 1s, missed: all, overlap: allow}, input: "time {{ due }}"}
"""


def run(folder: str, first: str) -> None:
    """Act until killed, or until everything has its run."""
    asyncio.run(_run(Path(folder), json.loads(first)))


async def _run(data: Path, first: dict[str, int]) -> None:
    places = {name: str(data / name) for name in ("inbox", "mail")}
    for name in ("inbox", "mail/new", "workflows/take"):
        (data / name).mkdir(parents=True, exist_ok=True)
    (data / "workflows/take/workflow.yaml").write_text(WORKFLOW)
    settings = msgspec.structs.replace(load_settings(data, {}), durability="normal", folders=places)
    appliance = Appliance(settings)
    await appliance.start()
    bus = appliance.bus_desk.bus

    async def watch(acting: Acting) -> None:
        await Watcher(appliance.store, bus, appliance.clock, places, every_us=EVERY_US).watch(acting)

    triggers = Triggers(appliance, Submissions(appliance), watch)
    await triggers.start()
    while not bus.counts():  # a new trigger takes what comes from then on
        await asyncio.sleep(0)
    if first:
        await asyncio.gather(*(_send(kind, number, data, appliance, triggers) for kind, number in first.items()))
    while any((data / "inbox").glob("[0-9]*")) or any((data / "mail/new").iterdir()) or _behind(appliance):
        await asyncio.sleep(0)
    await triggers.stop()
    await appliance.stop()


def _behind(appliance: Appliance) -> bool:
    return any(each.lag for each in appliance.bus_desk.bus.counts()) or bool(appliance.engine.health().live_runs)


async def _send(kind: str, number: int, data: Path, appliance: Appliance, triggers: Triggers) -> None:
    while True:
        match kind:
            case "file":
                path = data / "inbox" / f"{number}.part"
                path.write_text("x")
                os.utime(path, (number, number))  # whoever was killed behind this brings the same file again
                path.rename(path.with_suffix(""))
            case "mail":
                (data / "mail/new" / str(number)).write_text(f"Subject: {number}\n\nx\n")
            case "message":
                await appliance.bus_desk.bus.publish(said("orders.created", number))
            case _:
                hook = triggers.asked("take", "/push", "POST")
                caller = Caller("trigger:webhook")
                await triggers.submit(hook, {"body": number, "query": {}, "headers": {}}, f"hook/{number}", caller)
        os.write(1, f"{kind} {number}\n".encode())  # one write of few bytes: whole, or not at all
        number += 1
        await asyncio.sleep(0.002)
