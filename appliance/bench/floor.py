"""The floor of the engine's benchmark: the same ten steps over the bare database driver, one insert a step.

python -m appliance.bench.floor --sequential 20 --concurrent 50
"""

from runtime.store import driver

driver.install()

import json  # noqa: E402  # the driver's alias must stand before anything imports sqlite3
import shutil  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from appliance.bench.workload import arguments, work  # noqa: E402


def main() -> None:
    """Measure once and print one JSON document with the peers' names of the figures."""
    given = arguments(__doc__)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.dir))
    connection = driver.open_raw(folder / "state.db")
    connection.execute("CREATE TABLE step(wf TEXT, seq INTEGER, out TEXT, PRIMARY KEY(wf, seq)) WITHOUT ROWID")

    def run(name: str) -> None:
        digest = "0" * 64
        for index in range(given.steps):
            digest = work(digest, index)
            connection.execute("INSERT INTO step VALUES(?,?,?)", (name, index, json.dumps(digest)))

    samples = []
    for number in range(given.rounds + 1):
        runs = given.sequential + given.concurrent
        began, cpu = time.perf_counter(), time.process_time()
        for index in range(runs):
            run(f"{number}-{index}")
        spent, cpu_spent = time.perf_counter() - began, time.process_time() - cpu
        samples.append((runs * given.steps / spent, cpu_spent * 1e6 / (runs * given.steps)))
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)
    rate, cpu_us = max(rate for rate, _ in samples[1:]), min(cpu for _, cpu in samples[1:])
    print(
        json.dumps(
            {
                "peer": "floor",
                "seq_steps_s_best": round(rate),
                "seq_cpu_us_step": round(cpu_us),
                "con_steps_s_best": round(rate),
                "con_cpu_us_step": round(cpu_us),
            }
        )
    )


if __name__ == "__main__":
    main()
