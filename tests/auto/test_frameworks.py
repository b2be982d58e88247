"""Applications without a line of meshtrace, called without a server: the class is adapted."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType

import grpc
import pytest

from meshtrace.auto.frameworks import ADAPTERS
from tests.auto.running import CAME, answer_of, run, serving

APPS = Path(__file__).parent / "apps"


def test_no_application_names_meshtrace() -> None:
    """None of the applications here has a line of meshtrace in it."""
    assert [] == [path.name for path in APPS.glob("*.py") if "meshtrace" in path.read_text()]


@pytest.mark.parametrize(
    "app",
    [
        "starlette_app:app",
        "fastapi_app:app",
        "flask_app:app",
        "django_app:wsgi",
        "django_app:asgi",
        pytest.param("quart_app:app", marks=pytest.mark.servers),
        pytest.param("litestar_app:app", marks=pytest.mark.servers),
        pytest.param("falcon_app:wsgi", marks=pytest.mark.servers),
        pytest.param("falcon_app:asgi", marks=pytest.mark.servers),
        pytest.param("bottle_app:app", marks=pytest.mark.servers),
        pytest.param("pyramid_app:app", marks=pytest.mark.servers),
    ],
)
def test_called_as_a_test_client_does(app: str) -> None:
    """What came is sent by a call made in a view, though nobody serves the application."""
    done = run("python", "-m", "tests.auto.apps.called", app)
    assert ([CAME], 0) == (
        [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")],
        done.returncode,
    ), done.stderr


@pytest.mark.parametrize("path", ["/", "/below/"])
def test_aiohttp(path: str) -> None:
    """An aiohttp.web application has the middleware, and so has one below it."""
    with serving(lambda port: ["python", "-m", "tests.auto.apps.aiohttp_app", str(port)]) as port:
        assert CAME == answer_of(port, path)


@pytest.mark.parametrize("kind", ["threads", "aio"])
def test_grpc(kind: str) -> None:
    """A gRPC server has the interceptor."""
    with (
        serving(lambda port: ["python", "-m", "tests.auto.apps.grpc_app", kind, str(port)]) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        index = channel.unary_unary("/shop/Index", bytes, bytes)
        assert CAME == json.loads(index(b"", metadata=tuple(CAME.items()), timeout=30))


class _Asked:
    """A framework's class that answers whatever it is given."""

    def __call__(self, *asked: object) -> object:
        """Answer."""
        return asked


class _AskedAsynchronously:
    async def __call__(self, *asked: object) -> None:
        """Answer."""
        self.asked = asked


def test_a_strange_carrier(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written to is passed on to the application, as without meshtrace."""
    strange: Mapping[str, object] = MappingProxyType({"type": "http"})
    module = ModuleType("frameworks")
    vars(module).update(
        Flask=type("Flask", (_Asked,), {}), Quart=type("Quart", (_AskedAsynchronously,), {})
    )
    adapters = dict(ADAPTERS)
    adapters["flask.app"](module)
    adapters["quart.app"](module)
    assert (strange, None) == module.Flask()(strange, None)
    app = module.Quart()
    asyncio.run(app(strange, None, None))
    assert (strange, None, None) == app.asked
    assert ["meshtrace: a fault while putting the middleware around an application"] == [
        message.partition(";")[0] for message in caplog.messages
    ]
