"""What a step has spent, counted where calls are settled."""

from runtime.costs.tally import Tallies
from runtime.domain.egress import CostBound, Sender
from runtime.domain.event import NO_USAGE, Usage

STEP = Sender(run="r-1", step="draft")
CALL = CostBound(usd_micros=7, input_tokens=3, output_tokens=2)


def test_a_step_is_counted_while_it_is_open() -> None:
    """Several calls add up; what comes before or after is another step's, or nobody's."""
    tallies = Tallies()
    tallies.add(STEP, CALL)
    tallies.open("r-1", "draft")
    tallies.add(STEP, CALL)
    tallies.add(STEP, CALL)
    assert Usage(6, 4, 14) == tallies.so_far("r-1", "draft") == tallies.close("r-1", "draft")
    tallies.add(STEP, CALL)
    assert NO_USAGE is tallies.so_far("r-1", "draft")


def test_steps_of_other_runs_are_apart() -> None:
    tallies = Tallies()
    tallies.open("r-1", "draft")
    tallies.open("r-2", "draft")
    tallies.add(STEP, CALL)
    assert (NO_USAGE, Usage(3, 2, 7)) == (tallies.close("r-2", "draft"), tallies.close("r-1", "draft"))


def test_closing_twice_counts_nothing_twice() -> None:
    """A step that was stopped may be carried out again before its end is heard of."""
    tallies = Tallies()
    tallies.open("r-1", "draft")
    tallies.add(STEP, CALL)
    tallies.close("r-1", "draft")
    assert NO_USAGE is tallies.close("r-1", "draft")
