"""Plain ASGI and WSGI callables, which no framework class covers, under each server."""

import json

import pytest

from tests.auto.running import CAME, Command, answer_of, run, serving

ASGI = "tests.auto.apps.plain:asgi"
WSGI = "tests.auto.apps.plain:wsgi"


def _python(statements: str) -> Command:
    return lambda port: [
        *("python", "-c"),
        f"from tests.auto.apps.plain import wsgi; HERE = '127.0.0.1', {port}; {statements}",
    ]


def _uvicorn(*arguments: str) -> Command:
    return lambda port: ["uvicorn", f"--port={port}", "--log-level=warning", *arguments]


def _gunicorn(*arguments: str) -> Command:
    return lambda port: [
        "gunicorn",
        f"--bind=127.0.0.1:{port}",
        "--no-control-socket",
        *arguments,
    ]


@pytest.mark.servers
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(_uvicorn(ASGI), id="uvicorn"),
        pytest.param(_uvicorn(ASGI, "--reload"), id="uvicorn that reloads"),
        pytest.param(_uvicorn(ASGI, "--workers=2"), id="uvicorn with workers"),
        pytest.param(_uvicorn(WSGI, "--interface=wsgi"), id="uvicorn, WSGI in threads"),
        pytest.param(_gunicorn(WSGI), id="gunicorn"),
        pytest.param(_gunicorn("-w", "2", "--preload", WSGI), id="gunicorn that forks late"),
        pytest.param(_gunicorn("-k", "gthread", WSGI), id="gunicorn with threads"),
        pytest.param(_gunicorn("-k", "gevent", WSGI), id="gunicorn with greenlets"),
        pytest.param(
            _gunicorn("-k", "uvicorn_worker.UvicornWorker", ASGI), id="gunicorn over uvicorn"
        ),
        pytest.param(lambda port: ["waitress-serve", f"--port={port}", WSGI], id="waitress"),
        pytest.param(
            lambda port: ["hypercorn", f"--bind=127.0.0.1:{port}", ASGI], id="hypercorn, ASGI"
        ),
        pytest.param(
            lambda port: ["hypercorn", f"--bind=127.0.0.1:{port}", f"wsgi:{WSGI}"],
            id="hypercorn, WSGI",
        ),
        pytest.param(
            lambda port: ["granian", "--interface=asgi", f"--port={port}", ASGI],
            id="granian, ASGI",
        ),
        pytest.param(
            lambda port: ["granian", "--interface=wsgi", f"--port={port}", WSGI],
            id="granian, WSGI",
        ),
        pytest.param(
            _python(
                "from wsgiref.simple_server import make_server; "
                "make_server(*HERE, wsgi).serve_forever()"
            ),
            id="wsgiref",
        ),
        pytest.param(
            _python("from werkzeug import run_simple; run_simple(*HERE, wsgi)"), id="werkzeug"
        ),
        pytest.param(
            _python("import waitress; waitress.serve(wsgi, host=HERE[0], port=HERE[1])"),
            id="waitress, from Python",
        ),
        pytest.param(
            _python("from gevent import pywsgi; pywsgi.WSGIServer(HERE, wsgi).serve_forever()"),
            id="gevent",
        ),
        pytest.param(
            lambda port: [
                *("uwsgi", f"--http-socket=127.0.0.1:{port}", "--master", "--die-on-term"),
                "--module=tests.auto.apps.flask_app:app",
            ],
            id="uWSGI, a framework's application",
        ),
        pytest.param(
            lambda port: [
                *("flask", "--app", "tests.auto.apps.flask_app", "run", "--debug"),
                f"--port={port}",
            ],
            id="flask run --debug",
        ),
        pytest.param(
            lambda port: [
                *("opentelemetry-instrument", "uvicorn", f"--port={port}", ASGI),
            ],
            id="opentelemetry-instrument inside",
        ),
    ],
)
def test_what_came_leaves(command: Command) -> None:
    """A call made for a request carries what it brought, and the application says nothing of it."""
    with serving(command) as port:
        assert CAME == answer_of(port)


@pytest.mark.servers
def test_below_opentelemetry_instrument() -> None:
    """``opentelemetry-instrument meshtrace run`` works as the other order does."""
    with serving(_uvicorn(ASGI), under=["opentelemetry-instrument"]) as port:
        assert CAME == answer_of(port)


@pytest.mark.parametrize(
    ("statements", "how"),
    [
        pytest.param(
            f"import uvicorn; config = uvicorn.Config({ASGI!r}); config.load(); "
            "app = config.loaded_app",
            "asyncio.run(by_asgi(app))",
            id="uvicorn",
        ),
        pytest.param(
            f"from granian import _internal; app = _internal.load_target({WSGI!r})",
            "by_wsgi(app)",
            marks=pytest.mark.servers,
            id="granian",
        ),
    ],
)
def test_what_a_server_loads(statements: str, how: str) -> None:
    """What a server has loaded to serve has the middleware around it."""
    code = (
        "import asyncio, sys\n"
        "from tests.auto.apps.called import by_asgi, by_wsgi\n"
        f"{statements}\n"
        f"sys.stdout.buffer.write({how})"
    )
    done = run("python", "-c", code)
    assert CAME == json.loads(done.stdout), done.stderr
