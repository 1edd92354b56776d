"""The fold: what a state is after its entries, and nothing else."""

from runtime.domain.command import RUN_TIMER, AwaitSignal, SetTimer, StartStep
from runtime.domain.event import RunStarted, SignalReceived, StepSucceeded
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.domain.run import RunState, fold


def folded(*bodies: Body) -> RunState:
    started = RunStarted(workflow="w", definition=DefinitionHash("sha256:0"), input=None)
    return fold(RunId("r-1"), (Entry(seq, 0, body) for seq, body in enumerate((started, *bodies), start=1)))


def test_a_step_that_is_called_run_does_not_end_the_timer_of_the_run() -> None:
    """The run would have no time limit any more."""
    limit = SetTimer(timer=RUN_TIMER, delay_ms=1_000)
    step = StepId(RUN_TIMER)
    state = folded(limit, StartStep(step=step), StepSucceeded(step=step, output=None))
    assert {RUN_TIMER: 1_000_000} == state.timers


def test_an_answered_wait_ends_its_timer() -> None:
    """And the run's own goes on."""
    limit = SetTimer(timer=RUN_TIMER, delay_ms=1_000)
    wait = AwaitSignal(step=StepId("ask"), signal="answer", timeout_ms=500)
    assert {RUN_TIMER: 1_000_000, "ask": 500_000} == folded(limit, wait).timers
    assert {RUN_TIMER: 1_000_000} == folded(limit, wait, SignalReceived(name="answer")).timers
