"""Records golden journals of the scenarios that have none yet; never touches one that is there.

python -m tests.histories.record
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402  # the driver's alias must stand before anything imports sqlite3
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

from runtime.domain.journal import VERSION  # noqa: E402
from tests.histories.golden import FOLDER, save  # noqa: E402
from tests.histories.human import HUMAN  # noqa: E402
from tests.histories.kinds import KINDS  # noqa: E402
from tests.histories.plans import PLANS  # noqa: E402
from tests.histories.scenarios import SCENARIOS, play  # noqa: E402
from tests.histories.trees import TREES  # noqa: E402


async def main() -> None:
    """Play and save what is missing, for the journal version that is written today."""
    for name, scenario in {**SCENARIOS, **TREES, **KINDS, **PLANS, **HUMAN}.items():
        target = FOLDER / f"v{VERSION}" / name
        if target.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            save(await play(scenario, Path(folder)), target)
        print(f"recorded {target.relative_to(FOLDER)}")


if __name__ == "__main__":
    asyncio.run(main())
