"""Spans as OTLP, the protocol of OpenTelemetry collectors, in protobuf. Encodes; sends nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runtime.domain.trace import Attribute, Span

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

CONTENT_TYPE = "application/x-protobuf"
PATH = "/v1/traces"
_KINDS = {"internal": 1, "client": 3}
_ERROR = 2


def encode_spans(spans: Sequence[Span], *, resource: Mapping[str, Attribute], version: str, schema_url: str) -> bytes:
    """An ExportTraceServiceRequest. `version`: of this program, which is the scope."""
    # a third of a second that an appliance without a collector need not pay
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1 import trace_pb2

    def made(span: Span) -> "trace_pb2.Span":
        return trace_pb2.Span(
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_id),
            name=span.name,
            kind=_KINDS[span.kind],  # type: ignore[arg-type]  # the enum's number
            start_time_unix_nano=span.start_us * 1_000,
            end_time_unix_nano=max(span.end_us, span.start_us) * 1_000,
            attributes=_attributes(span.attributes),
            events=[
                trace_pb2.Span.Event(
                    name=event.name, time_unix_nano=event.at_us * 1_000, attributes=_attributes(event.attributes)
                )
                for event in span.events
            ],
            links=[
                trace_pb2.Span.Link(trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(own))
                for trace, own in span.links
            ],
            status=trace_pb2.Status(code=_ERROR) if span.error else None,  # type: ignore[arg-type]  # the enum's number
        )

    scope = trace_pb2.ScopeSpans(
        scope=InstrumentationScope(name="agentflow", version=version),
        spans=map(made, spans),
        schema_url=schema_url,
    )
    held = trace_pb2.ResourceSpans(
        resource=Resource(attributes=_attributes(resource)), scope_spans=[scope], schema_url=schema_url
    )
    content: bytes = ExportTraceServiceRequest(resource_spans=[held]).SerializeToString()
    return content


def _attributes(attributes: Mapping[str, Attribute]) -> "Iterator[KeyValue]":
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

    for key, value in attributes.items():
        match value:
            case bool():
                held = AnyValue(bool_value=value)
            case int():
                held = AnyValue(int_value=value)
            case float():
                held = AnyValue(double_value=value)
            case str():
                held = AnyValue(string_value=value)
            case _:
                held = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=each) for each in value]))
        yield KeyValue(key=key, value=held)
