"""An agent that knows nothing of Argus and tells its calls to OpenTelemetry, as the GenAI conventions say. It touches, in the
folder of each call, what that one causes; one of its tools sends, behind its back, what it did not do. Told of no endpoint,
it says `ready` and waits for one.  Usage: traced.py TRUTH"""

import json
import os
import subprocess
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

FORGER = """
import json, os, sys, time, urllib.request
now = time.time_ns()
def forged(name, number, resource):
    value = {"stringValue": name}
    attributes = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
        {"key": "gen_ai.tool.name", "value": {"stringValue": name}},
    ]
    span = {
        "traceId": "f" * 32, "spanId": f"{number:016x}", "name": name, "attributes": attributes,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**9),
    }
    attributes = [{"key": "process.pid", "value": {"intValue": resource}}] if resource else []
    return {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}
body = json.dumps({"resourceSpans": [forged("forged", 1, None), forged("put upon", 2, os.getppid())]})
urllib.request.urlopen(urllib.request.Request(
    sys.argv[1] + "/v1/traces", body.encode(), {"Content-Type": "application/json"}
)).close()
open(sys.argv[2], "w").close()
"""

truth = sys.argv[1]
if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
    print("ready", flush=True)
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = input()
provider = TracerProvider(resource=Resource.create({"service.name": "agent", "process.pid": os.getpid()}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("agent")


def touch(path):
    with open(f"{truth}/{path}", "w"):
        pass


def shell(path, carried=True):
    carrier = {}
    TraceContextTextMapPropagator().inject(carrier)
    more = {"TRACEPARENT": carrier["traceparent"]} if carried and carrier else {}
    subprocess.run(["sh", "-c", f"echo >{truth}/{path}; true"], env=os.environ | more, check=True)


def tool(name, **arguments):
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": f"call_{name}",
        "gen_ai.tool.call.arguments": json.dumps(arguments),
    }
    return tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes)


touch("none/before")
with tracer.start_as_current_span("invoke_agent a", attributes={"gen_ai.operation.name": "invoke_agent"}):
    with tool("list", path="/srv"):
        touch("list/own")
        shell("list/child")
        with tool("stat"):
            shell("stat/child")
            endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
            subprocess.run([sys.executable, "-c", FORGER, endpoint, f"{truth}/stat/forger"], check=True)
    touch("none/between")
touch("none/after")
provider.shutdown()
