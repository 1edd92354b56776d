"""The soak runs every kind of its workflows, and every journal replays."""

from pathlib import Path

from appliance.bench.soak import DOCUMENTS, bench
from appliance.config.settings import load_settings


def test_a_few_seconds_of_it(data_folder: Path, tmp_path: Path) -> None:
    """What is measured is real: runs that ended, and journals that were decided again."""
    told: list[str] = []
    found = bench(settings=load_settings(data_folder, {}), minutes=0.05, at_once=8, folder=tmp_path, report=told.append)
    row = found.rows["agentflow"]
    assert row["runs"] >= len(DOCUMENTS)
    assert row["runs"] == row["runs_succeeded"] < row["runs_with_parts"]
    assert row["resident_mb_last"] > 10
    kept = {goal.name: goal.value for goal in found.goals}
    assert 0 == kept["journals that do not replay clean"] == kept["runs that did not succeed"]
    assert [] == list(tmp_path.iterdir())
