"""What the demo can be told, as flags and as variables."""

from __future__ import annotations

import pytest

from examples.bookinfo.runner.options import Options, read

DEFAULTS = Options(
    tracer="zipkin",
    sampling=100,
    without=False,
    spans=False,
    envoy=None,
    envoy_version=None,
    once=False,
    port=0,
    export=None,
)


def test_nothing_said_is_istios_defaults() -> None:
    """Zipkin, every request, with meshtrace, on any port, until Ctrl-C."""
    assert DEFAULTS == read([], {})


FLAGS = ["--tracer", "opentelemetry", "--sampling", "20", "--without", "--spans", "--once"]
FLAGS += ["--envoy", "/opt/envoy", "--envoy-version", "1.36.4"]
ZIPKIN = "http://localhost:9411/api/v2/spans"
FLAGS += ["--export", ZIPKIN]
VARIABLES = {
    "TRACER": "opentelemetry",
    "SAMPLING": "20",
    "WITHOUT": "1",
    "SPANS": "1",
    "ONCE": "1",
    "ENVOY": "/opt/envoy",
    "ENVOY_VERSION": "1.36.4",
    "EXPORT": ZIPKIN,
}


def test_flags_and_variables_say_the_same() -> None:
    """`make demo TRACER=...` is `python -m examples.bookinfo --tracer ...`."""
    wanted = Options("opentelemetry", 20, True, True, "/opt/envoy", "1.36.4", True, 0, ZIPKIN)  # noqa: FBT003
    assert wanted == read(FLAGS, {})
    assert wanted == read([], VARIABLES)


def test_a_flag_beats_its_variable() -> None:
    """What is typed last counts."""
    assert "zipkin" == read(["--tracer", "zipkin"], {"TRACER": "opentelemetry"}).tracer


@pytest.mark.parametrize("value", ["", "0", "no", "off", "False"])
def test_a_switch_can_be_off(value: str) -> None:
    """An empty WITHOUT, or WITHOUT=0, leaves meshtrace on."""
    assert DEFAULTS == read([], {"WITHOUT": value, "ONCE": value})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({"TRACER": "jaeger"}, "--tracer: invalid choice: 'jaeger'", id="a tracer"),
        pytest.param({"SAMPLING": "all"}, "all is not a percentage", id="sampling, no number"),
        pytest.param({"SAMPLING": "101"}, "101 is not a percentage", id="sampling, too much"),
        pytest.param(
            {"SAMPLING": "nan"}, "nan is not a percentage", id="sampling, no number at all"
        ),
        pytest.param(
            {"EXPORT": "http://localhost:9411"}, "is not like http://", id="export, but not how"
        ),
    ],
)
def test_a_wrong_value_ends_the_program(
    environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which, and the exit status is that of a usage error."""
    with pytest.raises(SystemExit) as caught:
        read([], environment)
    assert 2 == caught.value.code
    assert said in capsys.readouterr().err


def test_a_wrong_port_ends_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """A port has sixteen bits."""
    with pytest.raises(SystemExit):
        read(["--port", "65536"], {})
    assert "65536 is not a port" in capsys.readouterr().err
