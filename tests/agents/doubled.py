"""An agent whose calls two streams tell of: the SDK's decorator, and OpenTelemetry around it, as an instrumented framework does;
neither knows of the other, nor names a call's id. It touches, in the folder of each call, what that one causes.  Usage:
doubled.py TRUTH"""

import json
import subprocess
import sys
import threading

import argus_trace as argus
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

truth = sys.argv[1]
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = trace.get_tracer("framework", tracer_provider=provider)


def touch(path):
    with open(f"{truth}/{path}", "w"):
        pass


def traced(name, told, call, **arguments):
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    if told:
        attributes["gen_ai.tool.call.arguments"] = json.dumps(arguments)
    with tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes):
        call(**arguments)


@argus.tool("write")
def write(folder):
    touch(f"{folder}/own")
    subprocess.run(["sh", "-c", f"echo >{truth}/{folder}/child; true"], check=True)
    if folder != "alone":
        # Neither of the two ends before the other has begun.
        begun.wait()


begun = threading.Barrier(2)
touch("none/before")
traced("write", False, write, folder="alone")
touch("none/between")
both = [threading.Thread(target=traced, args=("write", True, write), kwargs={"folder": it}) for it in ("one", "other")]
for thread in both:
    thread.start()
for thread in both:
    thread.join()
touch("none/after")
provider.shutdown()
