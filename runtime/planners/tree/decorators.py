"""The nodes with one child: they change its answer, ask it again, or bound it in time. Pure."""

from runtime.planners.tree.frame import (
    FAILURE,
    IDLE,
    RUNNING,
    SKIPPED,
    SUCCESS,
    Act,
    Compiled,
    Frame,
    Halt,
    Status,
    Tick,
    halting,
    reset_one,
)

Made = tuple[Tick, Halt]


def inverter(index: int, child: Compiled) -> Made:
    """Success for failure and failure for success; what could not be decided fails either way."""

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        undecided = frame.undecided
        found = child.tick(frame)
        if found == SUCCESS:
            frame.fault = index
            return _ends(frame, index, child, FAILURE)
        if found == FAILURE:
            return _ends(frame, index, child, SUCCESS if frame.undecided == undecided else FAILURE)
        return found

    return tick, halting(index, (child,))


def forced(index: int, child: Compiled, *, status: Status) -> Made:
    """Always the same answer, once the child has one."""

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        found = child.tick(frame)
        return found if found in (RUNNING, SKIPPED) else _ends(frame, index, child, status)

    return tick, halting(index, (child,))


def retry_until_successful(index: int, child: Compiled, *, attempts: int) -> Made:
    """Asks again after a failure; `a` counts failures. -1: without end."""
    return _again(index, child, times=attempts, after=FAILURE, ends=SUCCESS)


def repeat(index: int, child: Compiled, *, times: int) -> Made:
    """Asks again after a success; `a` counts successes. -1: without end."""
    return _again(index, child, times=times, after=SUCCESS, ends=FAILURE)


def _again(index: int, child: Compiled, *, times: int, after: Status, ends: Status) -> Made:
    def tick(frame: Frame) -> Status:
        status, a = frame.status, frame.a
        status[index] = RUNNING
        while a[index] < times or times < 0:
            was_idle = status[child.place] == IDLE
            found = child.tick(frame)
            if found == RUNNING:
                return RUNNING
            reset_one(frame, child)
            if found == SKIPPED:
                return SKIPPED
            if found == ends:
                a[index] = 0
                status[index] = ends
                return ends
            a[index] += times > 0
            if was_idle and (a[index] < times or times < 0):
                frame.is_woken = True
                return RUNNING
        a[index] = 0
        status[index] = after
        return after

    return tick, halting(index, (child,))


def keep_running_until_failure(index: int, child: Compiled) -> Made:
    """Asks again after a success, one tick later, until the child fails."""

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        found = child.tick(frame)
        if found == FAILURE:
            return _ends(frame, index, child, FAILURE)
        if found == SUCCESS:
            reset_one(frame, child)
            frame.is_woken = True
        return RUNNING

    return tick, halting(index, (child,))


def run_once(index: int, child: Compiled, *, then_skip: bool) -> Made:
    """Runs its child to one answer in all, which `a` remembers, also when it is halted."""

    def tick(frame: Frame) -> Status:
        known = frame.a[index]
        if known:
            if then_skip:
                return SKIPPED
            frame.status[index] = known
            return known
        frame.status[index] = RUNNING
        found = child.tick(frame)
        if found in (SUCCESS, FAILURE):
            frame.a[index] = found
            return _ends(frame, index, child, found)
        return found

    return tick, halting(index, (child,), forgets=False)


def subtree(index: int, child: Compiled) -> Made:
    """Answers as its child does, and has it forget its answer: a leaf alone below is asked again each time."""

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        found = child.tick(frame)
        return _ends(frame, index, child, found) if found in (SUCCESS, FAILURE) else found

    return tick, halting(index, (child,))


def timeout(index: int, child: Compiled) -> Made:
    """Halts its child and fails when its time is up. `a`: whether the time runs; `b`: how often it has been set."""

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        if frame.a[index] and index in frame.fired:
            frame.a[index] = 0
            frame.fault = index
            return _ends(frame, index, child, FAILURE)
        if not frame.a[index]:
            frame.a[index] = 1
            frame.b[index] += 1
            frame.acts.append(Act(index, "arm", mark=frame.b[index]))
        found = child.tick(frame)
        if found in (SUCCESS, FAILURE):
            stop(frame)
            return _ends(frame, index, child, found)
        return found

    def stop(frame: Frame) -> None:
        if frame.a[index]:
            frame.a[index] = 0
            frame.acts.append(Act(index, "disarm", mark=frame.b[index]))

    def halt(frame: Frame) -> None:
        stop(frame)
        reset_one(frame, child)
        frame.status[index] = IDLE

    return tick, halt


def _ends(frame: Frame, index: int, child: Compiled, status: Status) -> Status:
    reset_one(frame, child)
    frame.status[index] = status
    return status
