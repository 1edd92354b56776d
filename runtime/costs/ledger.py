"""What is spent and what is set aside under each budget, in memory. Takes the time as data and never waits, so that
nothing comes between looking whether there is room and taking it.

For every hard budget: spent + set aside ≤ the limit, whatever is set aside and settled in whatever order.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from runtime.costs.budget import Key, falling, in_words, renewal_in_words
from runtime.domain.cost import Budget
from runtime.domain.egress import CostBound, Sender
from runtime.domain.units import dollars
from runtime.errors import Refused

KEPT = 10_000
"""Counts that are kept while nothing is set aside in them; whoever asks for another is told to look it up."""


class Count(msgspec.Struct):
    """What one budget has seen in one period."""

    usd_micros: int = 0
    tokens: int = 0
    held_usd_micros: int = 0
    held_tokens: int = 0
    holds: int = 0
    warned: set[str] = msgspec.field(default_factory=set)
    """Budgets that have warned of it."""


class Hold(msgspec.Struct, frozen=True):
    """Something set aside."""

    keys: tuple[Key, ...]
    bound: CostBound
    over: tuple[str, ...]
    """Soft budgets, in words, that this may go over, each told once."""


class Ledger:
    """The counts of one process."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Key, Count] = OrderedDict()

    def missing(self, keys: Iterable[Key | None]) -> list[Key]:
        """Those of the keys that have no count here yet; open them with what was spent before."""
        return [key for key in dict.fromkeys(keys) if key is not None and key not in self._counts]

    def open(self, key: Key, *, usd_micros: int, tokens: int) -> None:
        """Begin a count, unless somebody did meanwhile."""
        if key not in self._counts:
            self._counts[key] = Count(usd_micros=usd_micros, tokens=tokens)
            self._drop_idle()

    def hold(
        self, falls_under: Sequence[tuple[Budget, Key | None]], sender: Sender, bound: CostBound, now_us: int
    ) -> Hold:
        """Set the bound aside in every budget it falls under; all keys are open. Raises Refused, naming the budget."""
        short = [each for each in falls_under if not has_room(each[0], self._at(each[1]), bound)]
        for budget, key in short:
            if budget.is_hard:
                raise _refusal(
                    budget, key, self._at(key), sender, bound, now_us, is_first=self._is_first_warning(budget, key)
                )
        over = [in_words(budget, key) for budget, key in short if self._is_first_warning(budget, key)]
        keys = tuple(dict.fromkeys(key for _, key in falls_under if key is not None))
        for key in keys:
            count = self._counts[key]
            count.held_usd_micros += bound.usd_micros
            count.held_tokens += bound.input_tokens + bound.output_tokens
            count.holds += 1
            self._counts.move_to_end(key)
        return Hold(keys, bound, tuple(over))

    def settle(self, hold: Hold, spent: CostBound) -> None:
        """Count what was spent, at most what was set aside, and give the rest back. Once for each hold."""
        spent = within(spent, hold.bound)
        for key in hold.keys:
            count = self._counts[key]
            count.held_usd_micros -= hold.bound.usd_micros
            count.held_tokens -= hold.bound.input_tokens + hold.bound.output_tokens
            count.holds -= 1
            count.usd_micros += spent.usd_micros
            count.tokens += spent.input_tokens + spent.output_tokens

    def count(self, key: Key) -> Count:
        """One count, to be looked at."""
        return self._counts[key]

    def _at(self, key: Key | None) -> Count:
        return Count() if key is None else self._counts[key]

    def _is_first_warning(self, budget: Budget, key: Key | None) -> bool:
        count = self._at(key)
        words = in_words(budget)
        is_first = words not in count.warned
        count.warned.add(words)
        return is_first

    def _drop_idle(self) -> None:
        """Forget the count used longest ago, where nothing is set aside in it."""
        if len(self._counts) > KEPT:
            idle = next((key for key, count in self._counts.items() if not count.holds), None)
            if idle is not None:
                del self._counts[idle]


def has_room(budget: Budget, count: Count, bound: CostBound) -> bool:
    """Whether a budget has room for the bound beside what is spent and set aside."""
    if budget.usd_micros is not None:
        if not bound.has_price:
            return False
        if bound.usd_micros and count.usd_micros + count.held_usd_micros + bound.usd_micros > budget.usd_micros:
            return False
    tokens = bound.input_tokens + bound.output_tokens
    return budget.tokens is None or not tokens or count.tokens + count.held_tokens + tokens <= budget.tokens


def within(spent: CostBound, bound: CostBound) -> CostBound:
    """What is said to be spent, as far as it can be true: nothing below zero, nothing above the bound."""
    return CostBound(
        usd_micros=min(max(spent.usd_micros, 0), bound.usd_micros),
        input_tokens=min(max(spent.input_tokens, 0), bound.input_tokens),
        output_tokens=min(max(spent.output_tokens, 0), bound.output_tokens),
        item=bound.item,
        payee=bound.payee,
    )


def _refusal(
    budget: Budget,
    key: Key | None,
    count: Count,
    sender: Sender,
    bound: CostBound,
    now_us: int,
    *,
    is_first: bool,
) -> Refused:
    named = in_words(budget, key)
    if budget.usd_micros is not None and not bound.has_price:
        return Refused(
            "budget.no_price",
            f"{sender.purpose} asks for {_item(bound)}, whose price nobody has named, and there is a budget of {named} "
            f"({budget.set_by}). Name the price under prices in the settings",
            budget=named,
            is_first=is_first,
        )
    wanted, left, held, is_only_held = _sums(budget, count, bound)
    aside = f" ({held} set aside for calls under way)" if held else ""
    return Refused(
        "budget.exceeded",
        f"{sender.purpose} asks for {_item(bound)}, which can take up to {wanted}; of the {named}, {left} left{aside}. "
        f"The rule is {budget.set_by}; raise it{renewal_in_words(budget, now_us)}",
        retryable=is_only_held,
        budget=named,
        is_first=is_first,
    )


def _item(bound: CostBound) -> str:
    kind, _, name = bound.item.partition(":")
    return f"{kind} {name!r}" if name else "something"


def _sums(budget: Budget, count: Count, bound: CostBound) -> tuple[str, str, str, bool]:
    """Wanted, left and set aside in words, of the money or else of the tokens; whether waiting for others may help."""
    limit = budget.usd_micros
    if limit is not None and count.usd_micros + count.held_usd_micros + bound.usd_micros > limit:
        left = max(0, limit - count.usd_micros - count.held_usd_micros)
        held = f"{dollars(count.held_usd_micros)} USD" if count.held_usd_micros else ""
        is_only_held = count.usd_micros + bound.usd_micros <= limit
        return f"{dollars(bound.usd_micros)} USD", f"{dollars(left)} USD is", held, is_only_held
    tokens, limit = bound.input_tokens + bound.output_tokens, budget.tokens or 0
    left = max(0, limit - count.tokens - count.held_tokens)
    held = f"{count.held_tokens:,} tokens" if count.held_tokens else ""
    return f"{tokens:,} tokens", f"{left:,} tokens are", held, count.tokens + tokens <= limit


def falls_under(
    budgets: Iterable[Budget], sender: Sender, bound: CostBound, now_us: int
) -> list[tuple[Budget, Key | None]]:
    """The budgets of the settings and of the sender that the bound falls under."""
    return [*falling(budgets, sender, bound, now_us), *falling(sender.budgets, sender, bound, now_us)]
