"""httpx2 that stands in for httpx."""

import json
import subprocess
import sys
from pathlib import Path


def test_httpx2_known_as_httpx() -> None:
    """Where httpx2 stands in for httpx, both names patch the same clients, once."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import json, httpx2, meshtrace
httpx2.alias_httpx()
import httpx
original = httpx.Client._send_single_request
seen = []
def answer(request):
    seen.append([value for name, value in request.headers.multi_items() if name == "b3"])
    return httpx.Response(204)
meshtrace.patch("httpx", "httpx2")
client = httpx.Client(transport=httpx.MockTransport(answer))
with meshtrace.use({"b3": "0"}):
    client.get("http://reviews/")
    meshtrace.unpatch("httpx2")
    client.get("http://reviews/")
print(json.dumps([seen, original is httpx.Client._send_single_request]))
""",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert [[["0"], []], True] == json.loads(done.stdout)
