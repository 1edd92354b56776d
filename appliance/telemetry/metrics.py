"""The page that Prometheus reads. Counts start at zero with the process; labels never hold data of a run."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from runtime.bus.local import ConsumerView

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
WORK_BUCKETS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)


class Metrics:
    """Every metric of one appliance, in a registry of its own."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = Gauge(
            "agentflow_build_info", "Which program this is; always 1.", ["version", "python"], registry=self._registry
        )
        info.labels(version, platform.python_version()).set(1)
        self.ready = self._gauge("agentflow_ready", "1 while /readyz answers 200.")
        self.streams = self._gauge("agentflow_event_streams", "Event streams that are open now.")
        self.requests_open = self._gauge("agentflow_http_requests_open", "HTTP requests that are being answered now.")
        self.requests = self._counter(
            "agentflow_http_requests_total", "HTTP requests answered.", "method", "route", "status"
        )
        self.request_seconds = self._histogram(
            "agentflow_http_request_duration_seconds",
            "From a request's arrival to the start of its answer.",
            REQUEST_BUCKETS_S,
            "method",
            "route",
        )
        self.events = self._counter("agentflow_journal_entries_total", "Journal entries made durable.", "type")
        self.runs_started = self._counter("agentflow_runs_started_total", "Runs asked for.", "workflow")
        self.runs_finished = self._counter("agentflow_runs_finished_total", "Runs ended.", "workflow", "status")
        self.run_seconds = self._histogram(
            "agentflow_run_duration_seconds", "From a run's start to its end.", WORK_BUCKETS_S, "workflow"
        )
        self.steps = self._counter("agentflow_steps_total", "Attempts at steps that ended.", "workflow", "outcome")
        self.step_seconds = self._histogram(
            "agentflow_step_duration_seconds", "How long an attempt at a step took.", WORK_BUCKETS_S, "workflow"
        )
        self.tokens = self._counter("agentflow_model_tokens_total", "Model tokens that steps used.", "direction")
        self.cost = self._counter("agentflow_cost_usd_total", "US dollars that steps cost.")
        self.egress = EgressCounts()
        self._registry.register(self.egress)
        self.threats = ThreatCounts()
        self._registry.register(self.threats)
        self.triggers = TriggerCounts()
        self._registry.register(self.triggers)
        self.uplink = UplinkFigures()
        self._registry.register(self.uplink)
        self.bus = BusCounts()
        self._registry.register(self.bus)
        self.human = HumanTasks()
        self._registry.register(self.human)

    def page(self) -> bytes:
        """All metrics in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self._registry)


class EgressCounts(Collector):
    """What the guard decided, as it counts it itself."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[tuple[str, str, str], int]] = dict
        """Decisions by (kind, zone, outcome)."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter, read when it is asked for."""
        labels = ["kind", "zone", "outcome"]
        family = CounterMetricFamily(
            "agentflow_egress", "Decisions of the guard on what wanted to leave.", labels=labels
        )
        for label_values, count in self.read().items():
            family.add_metric(label_values, count)
        yield family


class ThreatCounts(Collector):
    """Alerts about unusual use of tools, as the detector counts them itself."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[str, int]] = dict
        """Alerts by kind."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter, read when it is asked for."""
        family = CounterMetricFamily(
            "agentflow_threat_alerts", "Alerts about unusual use of tools since the start.", labels=["kind"]
        )
        for kind, count in self.read().items():
            family.add_metric([kind], count)
        yield family


class TriggerCounts(Collector):
    """What triggers have acted on, as they count it themselves."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[tuple[str, str, str, str], int]] = dict
        """How much by (workflow, trigger, kind, outcome); of those alone that act."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter, read when it is asked for."""
        labels = ["workflow", "trigger", "kind", "outcome"]
        family = CounterMetricFamily(
            "agentflow_triggered", "What triggers have acted on since the start, by what came of it.", labels=labels
        )
        for label_values, count in self.read().items():
            family.add_metric(label_values, count)
        yield family


class UplinkFigures(Collector):
    """How far the uplink has come, as it counts it itself; nothing where there is none."""

    def __init__(self) -> None:
        self.read: Callable[[], Iterable[tuple[str, float]]] = tuple
        """What is counted, by the end of its metric's name."""

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Read when it is asked for."""
        for name, value in self.read():
            whole = f"agentflow_uplink_{name}"
            if name.endswith("_total"):
                yield CounterMetricFamily(whole.removesuffix("_total"), _UPLINK[name], value=value)
            else:
                yield GaugeMetricFamily(whole, _UPLINK[name], value=value)


_UPLINK = {
    "sent_total": "Envelopes that the broker has acknowledged since the start.",
    "withheld_total": "Envelopes that policy did not let leave, since the start.",
    "waiting": "Entries of the journal that the broker has not acknowledged yet.",
    "up": "0 while the broker is away, or takes nothing.",
}


class BusCounts(Collector):
    """How the consumers of the bus keep up, as the bus knows it itself."""

    def __init__(self) -> None:
        self.read: Callable[[], Sequence[ConsumerView]] = list
        """Every named consumer."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Two gauges, read when they are asked for."""
        labels = ["tenant", "consumer"]
        lag = GaugeMetricFamily(
            "agentflow_bus_lag", "Positions between what a consumer has settled and the bus's head.", labels=labels
        )
        dead = GaugeMetricFamily("agentflow_bus_dead_letters", "Dead letters of a consumer.", labels=labels)
        for view in self.read():
            lag.add_metric([view.tenant, view.name], view.lag)
            dead.add_metric([view.tenant, view.name], view.dead)
        yield lag
        yield dead


class HumanTasks(Collector):
    """What waits for people, as the engine knows it itself."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[tuple[str, str], tuple[int, float]]] = dict
        """How many wait and the age of the oldest in seconds, by (tenant, workflow)."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Two gauges, read when they are asked for."""
        labels = ["tenant", "workflow"]
        waiting = GaugeMetricFamily(
            "agentflow_human_tasks_waiting", "Tasks and signals that wait for a person.", labels=labels
        )
        oldest = GaugeMetricFamily(
            "agentflow_human_task_oldest_seconds", "How long the one has waited that waits longest.", labels=labels
        )
        for label_values, (count, age_s) in self.read().items():
            waiting.add_metric(label_values, count)
            oldest.add_metric(label_values, age_s)
        yield waiting
        yield oldest
