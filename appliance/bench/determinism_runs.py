"""One process of the determinism benchmark: takes up what an earlier one left, runs the rest, prints the digests.

    python -m appliance.bench.determinism_runs WORKFLOW.yaml RUNS alone|together

The data folder and the models are those of AGENTFLOW_DATA and AGENTFLOW_MODELS. Prints a line with a dot for each
journal row that has become durable, so that whoever wants to kill it knows how far it is, and in the end one JSON
document `{"digests": [...], "statuses": [...]}` of all runs.
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402  # the driver's alias must stand before anything imports sqlite3
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

from appliance.config.settings import load_settings  # noqa: E402
from appliance.wiring import Appliance  # noqa: E402
from runtime.domain.canonical import Json  # noqa: E402
from runtime.engine.replay import decision_digest  # noqa: E402

GIVEN: Json = {"goal": "Find out what to do about a lost card, and write an answer", "amount": 40}
MOST_RUNS = 10_000


async def main() -> None:
    """Run everything to its end."""
    file, wanted, how = sys.argv[1:]
    appliance = Appliance(load_settings(None, os.environ), what="af bench determinism")
    await appliance.start()
    telling = asyncio.create_task(_tell(appliance))
    try:
        workflow = await appliance.workflows.find(file, allow_paths=True)
        left = [summary.run for summary in await appliance.store.runs(limit=MOST_RUNS)]

        async def one() -> None:
            await appliance.engine.wait(await appliance.engine.submit(workflow, GIVEN, actor="bench"))

        missing = int(wanted) - len(left)
        if how == "alone":
            for _ in range(missing):
                await one()
        else:
            await asyncio.gather(*(one() for _ in range(missing)), *(appliance.engine.wait(run) for run in left))
        found = await appliance.store.runs(limit=MOST_RUNS)
        digests = [decision_digest(await appliance.engine.entries(summary.run)) for summary in found]
        print(json.dumps({"digests": digests, "statuses": [summary.status for summary in found]}), flush=True)
    finally:
        telling.cancel()
        await appliance.stop()


async def _tell(appliance: Appliance) -> None:
    async for _ in appliance.store.follow(await appliance.store.head()):
        print(".", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
