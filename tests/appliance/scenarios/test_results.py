"""What became of a scenario, counted."""

from pathlib import Path

import pytest

from appliance.scenarios.expectations import Difference, Found
from appliance.scenarios.format import Scenario
from appliance.scenarios.running import Attempt, Result


@pytest.mark.parametrize(("held", "ratio", "passed"), [(55, 0.55, True), (54, 0.55, False), (100, 1.0, True)])
def test_a_share_that_is_just_held_passes(held: int, ratio: float, passed: bool) -> None:
    """55 of 100 are 0.55, though 0.55 times 100 is a little more than 55 to a computer."""
    scenario = Scenario(name="x", file="x", line=1, workflow=Path("x"), pass_ratio=ratio)
    found, other = Found(status="succeeded"), Difference(at="end", expected="a", found="b")
    attempts = tuple(Attempt(found=found, differences=() if number < held else (other,)) for number in range(100))
    assert passed is Result(scenario=scenario, attempts=attempts).passed
