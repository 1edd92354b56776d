"""What models cost: the table that comes with the program, and what the settings say instead."""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec
from msgspec import Meta

from models.meter import Meter
from models.routing import Route
from models.servers import ModelServer
from runtime.costs.prices import FREE, Price
from runtime.domain.spelling import unknown_word
from runtime.policies.residency import CLOUD_PREFIX, LOCAL

MOST_DOLLARS = 1_000_000

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}/\S+")
_DATE = re.compile(r"-(?:20\d\d-?\d\d-?\d\d|latest|0)$")


class PriceLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a price table, in dollars."""

    input_per_1k: Decimal = Decimal(0)
    """Dollars of 1,000 input tokens."""
    output_per_1k: Decimal = Decimal(0)
    """Dollars of 1,000 output tokens."""
    per_call: Decimal = Decimal(0)
    per_cpu_second: Decimal = Decimal(0)
    """Dollars of a second of CPU time, for models of this machine."""
    tokens_per_cpu_second: Annotated[int, Meta(ge=1)] = 1
    """What a second gets through: the time of a call is worked out from its tokens."""
    image_tokens: Annotated[int, Meta(ge=0)] = 5_000
    """The most tokens that one picture counts as."""


class PriceTable:
    """Prices by provider and model."""

    def __init__(
        self,
        own: Mapping[str, Mapping[str, object]] | None = None,
        servers: Mapping[str, ModelServer] | None = None,
        *,
        is_strict: bool = False,
    ) -> None:
        """`own`: the settings' `prices`, checked; `servers`: their `models.backends` by name. `is_strict`: also a model
        of the own site costs nothing only where somebody has said so."""
        self._is_strict = is_strict
        self._own = {name: price_of(line) for name, line in (own or {}).items()}
        self._servers = dict(servers or {})
        self._meters: dict[Route, Meter] = {}

    def meter(self, route: Route) -> Meter:
        """What counts the calls to a model."""
        meter = self._meters.get(route)
        if meter is None:
            provider = _PROVIDERS.get(route.backend) or route.backend.removeprefix("model.")
            price = self._price(provider, route.model, route.zone)
            item = f"model:{provider}/{route.model}"
            meter = self._meters[route] = Meter(item=item, payee=route.host, price=price)
        return meter

    def per_call(self, provider: str, name: str) -> int | None:
        """Micro-dollars of a call to what is no model, such as `tool/create_ticket`; None: the settings name none."""
        price = _named(self._own, f"{provider}/{name}")
        return None if price is None else price.call_micros

    def per_memory(self, layer: str, operation: str) -> int:
        """Micro-dollars of an operation on a layer of memory, which may be priced as a whole; else 0."""
        named = self.per_call("memory", f"{layer}/{operation}")
        return (self.per_call("memory", layer) if named is None else named) or 0

    def per_request(self, host: str, way: str = "http") -> int:
        """Micro-dollars of a request to a host (`name:port`), which may be priced without its port; else 0.

        `way`: `http`, `mail` or `sql`.
        """
        named = self.per_call(way, host)
        return (self.per_call(way, host.rpartition(":")[0]) if named is None else named) or 0

    def _price(self, provider: str, model: str, zone: str) -> Price | None:
        """The price; None for a cloud's model that no table names, and for any server's where the table is strict."""
        server = self._servers.get(provider)
        names = (f"{provider}/{model}", f"{server.kind}/{model}" if server else "")
        for table in (self._own, known_prices()):
            for name in names:
                if (price := _named(table, name)) is not None:
                    return price
        return None if zone.startswith(CLOUD_PREFIX) or (self._is_strict and zone != LOCAL) else FREE


def price_of(line: object) -> Price:
    """The price of one line. Raises ValueError, saying what is wrong."""
    try:
        read = msgspec.convert(line, PriceLine, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f'{error}; amounts are US dollars, such as "0.002"') from None
    return Price(
        input_micros=_whole(read.input_per_1k, 10**9),
        output_micros=_whole(read.output_per_1k, 10**9),
        call_micros=_whole(read.per_call, 10**6),
        cpu_second_micros=_whole(read.per_cpu_second, 10**6),
        tokens_per_cpu_second=read.tokens_per_cpu_second,
        image_tokens=read.image_tokens,
    )


def check_prices(own: object) -> dict[str, dict[str, object]]:
    """The settings' `prices` as they are kept. Raises ValueError, naming the line that is wrong."""
    if not isinstance(own, Mapping):
        raise ValueError("a mapping from PROVIDER/MODEL to a price")
    kept: dict[str, dict[str, object]] = {}
    faults: list[str] = []
    for name, line in own.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(line, Mapping):
            faults.append(f"PROVIDER/MODEL with a price, not {name!r}")
            continue
        known = PriceLine.__struct_fields__
        unknown = [f"{name}: {unknown_word('key of a price', key, known)}" for key in line if key not in known]
        faults += unknown
        try:
            price_of({key: value for key, value in line.items() if key in known})
        except ValueError as error:
            faults.append(f"{name}: {error}")
        kept[name] = {str(key): value for key, value in line.items()}
    if faults:
        raise ValueError("; ".join(faults))
    return kept


@cache
def known_prices() -> Mapping[str, Price]:
    """The table that comes with the program, by `provider/model`."""
    text = (files("models") / "prices.toml").read_text("utf-8")
    tables = tomllib.loads(text, parse_float=Decimal)
    return {
        f"{provider}/{model}": price_of(line) for provider, lines in tables.items() for model, line in lines.items()
    }


_PROVIDERS = {"model.llama_cpp": "local", "model.onnx": "local"}


def _named(table: Mapping[str, Price], name: str) -> Price | None:
    """The price under a name, under the name without a date, else under the longest pattern that it fits."""
    for each in (name, _DATE.sub("", name)):
        if each in table:
            return table[each]
    fitting = [pattern for pattern in table if "*" in pattern and fnmatchcase(name, pattern)]
    return table[max(fitting, key=len)] if fitting else None


def _whole(dollars: Decimal, scale: int) -> int:
    if not dollars.is_finite() or not 0 <= dollars <= MOST_DOLLARS:
        raise ValueError(f"an amount from 0 to {MOST_DOLLARS:,} USD, not {dollars}")
    amount = dollars * scale
    if amount != int(amount):
        raise ValueError(f"an amount that is no finer than {Decimal(1) / scale:f} USD, not {dollars}")
    return int(amount)
