"""The nodes that choose among children: sequences, selectors, parallels and branches. Pure.

Each maker takes the node's place and its children and returns its two functions. Statuses and counters change
exactly as in BehaviorTree.CPP v4, down to what it leaves behind: a branch of two children that fails keeps its
condition's answer, and a sequence with memory keeps its place when it is halted.
"""

from runtime.planners.tree.frame import (
    FAILURE,
    IDLE,
    RUNNING,
    SKIPPED,
    SUCCESS,
    Compiled,
    Frame,
    Halt,
    Status,
    Tick,
    halting,
    reset,
    reset_one,
)

Children = tuple[Compiled, ...]
Made = tuple[Tick, Halt]


def ordered(
    index: int, children: Children, *, goes_on: Status, keeps_place: bool = False, yields: bool = False
) -> Made:
    """A sequence (goes on after a success) or a selector (goes on after a failure).

    `a` is the child that is due, `b` counts those that were skipped. `keeps_place`: of a sequence with memory.
    `yields`: it lets others go first (it is running for a tick) behind each child that answered at once.
    """
    ticks = tuple(child.tick for child in children)
    places = tuple(child.place for child in children)
    count = len(ticks)

    def tick(frame: Frame) -> Status:
        status, a = frame.status, frame.a
        if status[index] == IDLE:
            frame.b[index] = 0
        status[index] = RUNNING
        at = a[index]
        while at < count:
            was_idle = yields and status[places[at]] == IDLE
            found = ticks[at](frame)
            if found == goes_on:
                at += 1
                if was_idle and at < count:
                    a[index] = at
                    frame.is_woken = True
                    return RUNNING
            elif found == RUNNING:
                a[index] = at
                return RUNNING
            elif found == SKIPPED:
                at += 1
                frame.b[index] += 1
            else:
                a[index] = at if keeps_place else 0
                reset(frame, children[at:] if keeps_place else children)
                status[index] = found
                return found
        reset(frame, children)
        a[index] = 0
        skipped, frame.b[index] = frame.b[index], 0
        if skipped == count:
            return SKIPPED
        status[index] = goes_on
        return goes_on

    return tick, halting(index, children, forgets=not keeps_place)


def reactive(index: int, children: Children, *, goes_on: Status) -> Made:
    """A sequence or selector that begins with its first child on every tick."""
    numbered = tuple((at, child.tick) for at, child in enumerate(children))

    def tick(frame: Frame) -> Status:
        status = frame.status
        status[index] = RUNNING
        skipped = 0
        for at, tick_child in numbered:
            found = tick_child(frame)
            if found == goes_on:
                continue
            if found == RUNNING:
                reset(frame, children[:at])
                reset(frame, children[at + 1 :])
                return RUNNING
            if found == SKIPPED:
                skipped += 1
                reset_one(frame, children[at])
                continue
            reset(frame, children)
            status[index] = found
            return found
        reset(frame, children)
        if skipped == len(children):
            return SKIPPED
        status[index] = goes_on
        return goes_on

    return tick, halting(index, children)


def threshold(given: int, count: int) -> int:
    """How many are meant: below 0 it counts from the number of children."""
    return max(count + given + 1, 0) if given < 0 else given


def parallel(index: int, children: Children, *, successes: int, failures: int) -> Made:
    """Ticks all that are not done, until enough succeeded or too many failed; `a` and `b` count these."""
    numbered = tuple((child.place, child.tick) for child in children)
    count = len(children)
    wanted, tolerated = threshold(successes, count), threshold(failures, count)

    def tick(frame: Frame) -> Status:
        status, a, b = frame.status, frame.a, frame.b
        status[index] = RUNNING
        skipped = 0
        for child, tick_child in numbered:
            if status[child] <= RUNNING:
                found = tick_child(frame)
                if found == SUCCESS:
                    a[index] += 1
                elif found == FAILURE:
                    b[index] += 1
                elif found == SKIPPED:
                    skipped += 1
            succeeded, failed = a[index], b[index]
            if succeeded >= wanted or (successes < 0 and succeeded + skipped >= wanted):
                return _ends(frame, index, children, SUCCESS)
            if count - failed < wanted or failed == tolerated:
                return _ends(frame, index, children, FAILURE)
        return SKIPPED if skipped == count else RUNNING

    return tick, halting(index, children)


def parallel_all(index: int, children: Children, *, failures: int) -> Made:
    """Ticks all until each is done, then fails when too many failed; `b` counts these."""
    numbered = tuple((child.place, child.tick) for child in children)
    count = len(children)
    tolerated = threshold(failures, count)

    def tick(frame: Frame) -> Status:
        status = frame.status
        status[index] = RUNNING
        skipped = done = 0
        for child, tick_child in numbered:
            if status[child] > RUNNING:
                done += 1
                continue
            found = tick_child(frame)
            if found == SKIPPED:
                skipped += 1
            elif found != RUNNING:
                done += 1
                frame.b[index] += found == FAILURE
        if skipped == count:
            return SKIPPED
        if skipped + done < count:
            return RUNNING
        return _ends(frame, index, children, FAILURE if frame.b[index] >= tolerated else SUCCESS)

    return tick, halting(index, children)


def if_then_else(index: int, children: Children) -> Made:
    """Asks the first child once, then stays with the second or the third; `a` is the one that is due."""
    condition, has_else = children[0], len(children) == 3

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        if frame.a[index] == 0:
            undecided = frame.undecided
            found = condition.tick(frame)
            if found == RUNNING:
                return RUNNING
            if found == SUCCESS:
                frame.a[index] = 1
            elif found == FAILURE and has_else and frame.undecided == undecided:
                frame.a[index] = 2
            else:
                if found == FAILURE:
                    frame.status[index] = FAILURE
                return found
        return _branch(frame, index, children, frame.a[index])

    return tick, halting(index, children)


def while_do_else(index: int, children: Children) -> Made:
    """Asks the first child on every tick, and changes over when it answers otherwise."""
    condition, count = children[0], len(children)

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        undecided = frame.undecided
        found = condition.tick(frame)
        if found == SUCCESS:
            if count == 3:
                reset_one(frame, children[2])
            return _branch(frame, index, children, 1)
        if found != FAILURE:
            return found
        if count == 3 and frame.undecided == undecided:
            reset_one(frame, children[1])
            return _branch(frame, index, children, 2)
        return _ends(frame, index, children, FAILURE)

    return tick, halting(index, children)


def conditional_selector(index: int, children: Children, *, expressions: tuple[str, ...]) -> Made:
    """Stays with the first child whose expression holds; `a` is its number from 1. Fails when none holds."""

    def choose(frame: Frame) -> int:
        for number, expression in enumerate(expressions):
            verdict = frame.holds(expression) if expression else True
            if verdict is True:
                frame.why = expression
                return number + 1
            if verdict is not False:
                frame.undecided += 1
                frame.fault = verdict
                return 0
        frame.fault = index
        return 0

    def tick(frame: Frame) -> Status:
        frame.status[index] = RUNNING
        chosen = frame.a[index] or choose(frame)
        if not chosen:
            frame.status[index] = FAILURE
            return FAILURE
        frame.a[index] = chosen
        found = _branch(frame, index, children, chosen - 1)
        frame.why = ""
        return found

    return tick, halting(index, children)


def _branch(frame: Frame, index: int, children: Children, chosen: int) -> Status:
    found = children[chosen].tick(frame)
    if found == RUNNING:
        return RUNNING
    if found == SKIPPED:
        reset(frame, children)
        frame.a[index] = 0
        return SKIPPED
    return _ends(frame, index, children, found)


def _ends(frame: Frame, index: int, children: Children, status: Status) -> Status:
    reset(frame, children)
    frame.a[index] = frame.b[index] = 0
    frame.status[index] = status
    return status
