"""meshtrace without OpenTelemetry."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SERVED = """
import asyncio, json, sys
import requests
import meshtrace
from requests.adapters import BaseAdapter

class Wire(BaseAdapter):
    def send(self, request, **kwargs):
        sent.append(request.headers["traceparent"])
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        return response

    def close(self):
        pass

def call(session):
    session.mount("http://", Wire())
    session.get("http://reviews:9080/")

def wsgi(environ, start_response):
    call(requests.Session())
    call(meshtrace.Session())
    return iter([b""])

async def asgi(scope, receive, send):
    call(meshtrace.wrap(requests.Session()))
    assert meshtrace.current().trace_id and meshtrace.capture() and meshtrace.headers()

sent = []
came = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01"
meshtrace.patch()
list(meshtrace.MeshTraceWSGI(wsgi)({"HTTP_TRACEPARENT": came}, print))
asyncio.run(meshtrace.MeshTrace(asgi)(
    {"type": "http", "headers": [(b"traceparent", came.encode())]}, None, None))
assert sent == [came] * 3
print(json.dumps([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]))
"""


def test_serving_loads_nothing_of_opentelemetry() -> None:
    """Requests come in and calls go out, both ways, and OpenTelemetry is never imported."""
    done = subprocess.run(
        [sys.executable, "-c", SERVED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [] == json.loads(done.stdout)
