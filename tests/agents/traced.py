"""An agent that knows nothing of Argus and tells its calls to OpenTelemetry, as the GenAI conventions say. It touches, in the
folder of each call, what that one causes.  Usage: traced.py TRUTH"""

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

truth = sys.argv[1]
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
    touch("none/between")
touch("none/after")
provider.shutdown()
