"""``meshtrace check --env``."""

from importlib import metadata

from meshtrace.checker.surroundings import as_text

INSTALLED = {"requests": "2.32.0", "ddtrace": "2.0"}


def _version(name: str) -> str:
    if name not in INSTALLED:
        raise metadata.PackageNotFoundError(name)
    return INSTALLED[name]


def test_versions_and_other_tracers() -> None:
    """What is installed is listed, and other tracers with what they do."""
    text = as_text({"OTEL_PROPAGATORS": "b3"}, _version)
    assert "  requests 2.32.0" in text
    assert "  ddtrace 2.0: writes x-datadog-*" in text
    assert "  OTEL_PROPAGATORS=b3" in text
    assert "httpx" not in text


def test_no_other_tracer() -> None:
    """Where there is none, the list says so."""

    def nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    assert "other tracers\n  none" in as_text({}, nothing)


def test_settings_and_where_they_come_from() -> None:
    """Each setting has its value, and the variable that it was read from."""
    text = as_text({"MESHTRACE_MESH_HOSTS": ".prod,.corp", "MESHTRACE_DISABLED": "1"}, _version)
    assert "mesh_hosts = .prod, .corp   [MESHTRACE_MESH_HOSTS]" in text
    assert "incoming = trust   [default]" in text
    assert "deny_hosts = (empty)   [default]" in text
    assert "MESHTRACE_DISABLED is set" in text
