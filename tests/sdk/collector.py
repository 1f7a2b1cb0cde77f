"""A collector of OpenTelemetry traces, over HTTP or gRPC, that keeps what it gets."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


@dataclass
class Span:
    name: str
    service: str
    trace_id: str
    span_id: str
    parent: str
    start: int
    end: int
    kind: int
    failed: bool
    message: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Kept:
    spans: list[Span] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)

    def add(self, request: ExportTraceServiceRequest, headers: dict[str, str]) -> None:
        self.requests.append(headers)
        for group in request.resource_spans:
            resource = values(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Span(
                            span.name, resource["service.name"], span.trace_id.hex(), span.span_id.hex(),
                            span.parent_span_id.hex(), span.start_time_unix_nano, span.end_time_unix_nano, span.kind,
                            span.status.code == 2, span.status.message, values(span.attributes), resource,
                        )
                    )  # fmt: skip

    def of(self, trace_id: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]


def values(attributes) -> dict[str, Any]:
    found = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        assert each.key not in found, each.key
        found[each.key] = getattr(each.value, kind)
    return found


class HttpCollector(Kept):
    """`with HttpCollector() as collector`: `url` is its endpoint. One that is `mute` takes requests and never answers."""

    def __init__(self, port: int = 0, mute: bool = False) -> None:
        super().__init__()
        self.over = threading.Event()
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if mute:
                    kept.over.wait()
                    return
                if self.path != "/v1/traces":
                    self.send_error(404)
                    return
                kept.add(ExportTraceServiceRequest.FromString(body), {k.lower(): v for k, v in self.headers.items()})
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HttpCollector":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class GrpcCollector(Kept):
    """The same over gRPC."""

    def __init__(self) -> None:
        super().__init__()
        import grpc
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

        kept = self

        class Traces(service.TraceServiceServicer):
            def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
                kept.add(request, dict(context.invocation_metadata()))
                return ExportTraceServiceResponse()

        self._server = grpc.server(ThreadPoolExecutor(2))
        service.add_TraceServiceServicer_to_server(Traces(), self._server)
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> "GrpcCollector":
        self._server.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.stop(None)
