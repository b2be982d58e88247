"""The options of ``meshtrace check``, read into a `Plan`."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from meshtrace.checker.answers import Answers
from meshtrace.checker.errors import CannotCheckError
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Request
from meshtrace.checker.probes import PROVIDERS

__all__ = ["INSIDE", "parse", "plan"]

INSIDE = "--inside"
"""Says that this is the check that runs inside the namespace; for ourselves."""

_COULD_NOT = 2
_PORTS = range(1, 1 << 16)
_LOOPBACK = "127.0.0.1"

_EPILOG = """\
examples:
  meshtrace check --path /product -- uvicorn shop:app --port 8000
  meshtrace check --path /product -- node server.js
  meshtrace check shop.main:app --path /product     an ASGI or WSGI application
  meshtrace check --listen 9999 --url http://localhost:8000/product
  meshtrace check --env

In COMMAND and in --env, {port} is a free port and {recorder} the host and port of the checker.

exit status: 0 kept, 1 findings, 2 could not check"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"meshtrace check: {message} (--help shows the options)\n")
        raise SystemExit(_COULD_NOT)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read the options; what follows ``--`` is the command.

    Raises:
        SystemExit: One is wrong, or help was asked for.

    >>> parse(["--path", "/product", "--", "node", "server.js"]).command
    ['node', 'server.js']
    """
    own, command = [*arguments], []
    if "--" in own:
        at = own.index("--")
        own, command = own[:at], own[at + 1 :]
    options = _parser().parse_args(own)
    options.command = command
    return options


def plan(options: argparse.Namespace) -> Plan:
    """
    Make a plan of the options.

    Raises:
        CannotCheckError: They do not go together, or name what is not there.
    """
    targets = [bool(options.command), bool(options.application), bool(options.url)]
    if sum(targets) != 1:
        raise CannotCheckError(
            "say what to check: -- COMMAND, or module:application, or --listen PORT --url URL"
        )
    if bool(options.url) != (options.listen is not None):
        raise CannotCheckError("--listen and --url go together")
    paths = options.path
    url = options.url or urlsplit("")
    if options.url:
        paths = paths or [(url.path or "/") + (f"?{url.query}" if url.query else "")]
    unknown = [name for name in options.provider if name not in PROVIDERS]
    if unknown:
        raise CannotCheckError(f"unknown provider {unknown[0]!r}; known: {', '.join(PROVIDERS)}")
    providers = options.provider or (PROVIDERS if options.all else PROVIDERS[:2])
    forward_to = options.forward_to or (_LOOPBACK if options.forward else "")
    return Plan(
        requests=tuple(_request(options, path) for path in paths or ["/"]),
        command=tuple(options.command),
        application=options.application or "",
        providers=tuple(providers),
        odd=options.all,
        environment=dict(pair for pair in options.env if pair),
        port=options.port,
        timeout=options.timeout,
        start_timeout=options.start_timeout,
        answers=_answers(options.answer),
        forward_to=forward_to,
        ignored=frozenset(options.ignore_host),
        leaf=options.leaf,
        listen=_listen(options.listen, url.hostname or "") if options.listen else None,
        url=(url.hostname or "", url.port or 80),
    )


def _request(options: argparse.Namespace, path: str) -> Request:
    body = options.body.encode()
    if options.body.startswith("@"):
        body = _read(options.body[1:])
    method = options.method or ("POST" if body else "GET")
    headers = options.header
    if body and not any(name.lower() == "content-type" for name, _ in headers):
        headers = [*headers, ("content-type", "application/json")]
    return Request(path if path.startswith("/") else f"/{path}", method, tuple(headers), body)


def _answers(given: list[str]) -> Answers:
    try:
        return Answers(given)
    except OSError as error:
        raise CannotCheckError(f"--answer {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise CannotCheckError(f"--answer: {error}") from None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CannotCheckError(f"--body @{path}: {error.strerror}") from None


def _listen(place: tuple[str, int], url_host: str) -> tuple[str, int]:
    host, port = place
    if not host:
        # A service elsewhere has to reach it.
        local = url_host in ("localhost", _LOOPBACK)
        host = _LOOPBACK if local else "0.0.0.0"  # noqa: S104 - as it was asked for
    return host, port


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="meshtrace check",
        usage="meshtrace check [OPTION...] -- COMMAND [ARGUMENT...]",
        description="Does a service carry the trace headers on?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("application", nargs="?", type=_spec, metavar="module:application")
    ask = parser.add_argument_group("what is asked of the service")
    ask.add_argument("--path", action="append", help="a path to ask for; may be given again (/)")
    ask.add_argument("--method", help="the method (GET, with a body POST)")
    ask.add_argument("--header", action="append", type=_header, default=[], metavar="NAME:VALUE")
    ask.add_argument("--body", default="", help="a body, or @FILE; taken for JSON")
    probes = parser.add_argument_group("what is sent")
    probes.add_argument(
        "--provider",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a tracing provider of the mesh: {', '.join(PROVIDERS)} (the first two)",
    )
    probes.add_argument("--all", action="store_true", help="all providers, and what is seldom seen")
    calls = parser.add_argument_group("the service's calls")
    calls.add_argument(
        "--isolate",
        choices=("auto", "always", "never"),
        default="auto",
        help="whether the service gets a network of its own (where the kernel allows it)",
    )
    calls.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="[PATTERN=]FILE",
        help="what calls are answered with; a status instead of FILE is one ({}, as JSON)",
    )
    calls.add_argument(
        "--forward", action="store_true", help="pass calls on to the loopback device"
    )
    calls.add_argument(
        "--forward-to", type=_host, metavar="HOST[:PORT]", help="pass calls on to this host"
    )
    calls.add_argument(
        "--ignore-host", action="append", default=[], metavar="HOST", help="do not judge its calls"
    )
    calls.add_argument(
        "--leaf", action="store_true", help="the service calls nobody; that is right"
    )
    service = parser.add_argument_group("the service")
    service.add_argument("--port", type=_port, help="where it listens (found by itself)")
    service.add_argument(
        "--env",
        action="append",
        nargs="?",
        type=_variable,
        default=[],
        metavar="NAME=VALUE",
        help="a variable for it; alone: show versions, settings and other tracers here",
    )
    service.add_argument(
        "--listen", type=_place, metavar="[HOST:]PORT", help="it runs already, and calls here"
    )
    service.add_argument("--url", type=_url, help="where it is then, with a path")
    add("--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="for each answer (10)")
    add("--start-timeout", type=_seconds, default=30.0, metavar="SECONDS", help="to listen (30)")
    add("--json", action="store_true", help="the report as JSON")
    add(INSIDE, help=argparse.SUPPRESS)
    return parser


def _spec(text: str) -> str:
    module, _, name = text.partition(":")
    if not module or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no module:application; a command follows --")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not f"{name}{value}".isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in _PORTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _url(text: str) -> SplitResult:
    with contextlib.suppress(ValueError):
        url = urlsplit(text)
        if url.scheme == "http" and url.hostname and url.port != 0:
            return url
    raise argparse.ArgumentTypeError(f"{text} is not http://HOST[:PORT]/PATH")


def _host(text: str) -> str:
    host, colon, port = text.partition(":")
    if colon:
        _port(port)
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST[:PORT]")
    return text


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, _port(port)


def _seconds(text: str) -> float:
    seconds = 0.0
    with contextlib.suppress(ValueError):
        seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds
