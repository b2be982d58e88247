"""
A service with another tracer in it, installed before all else.

``python -m tests.coexistence.traced``, with the tracer in ``OTHER_TRACER`` and what ``python -m``
would run in ``MODULE``.
"""

import os
import runpy

from tests.coexistence.tracers import TRACERS, OpenTelemetry


class EverywhereOpenTelemetry(OpenTelemetry):
    """OpenTelemetry's instrumentations, for each application that will be made."""

    def install(self) -> None:
        """Instrument the clients and the frameworks."""
        from opentelemetry.instrumentation.flask import (  # noqa: PLC0415 - what is not asked for is not loaded
            FlaskInstrumentor,
        )
        from opentelemetry.instrumentation.starlette import (  # noqa: PLC0415 - as above
            StarletteInstrumentor,
        )

        super().install()
        instrumentor: type = FlaskInstrumentor
        instrumentor().instrument()
        StarletteInstrumentor().instrument()


def main() -> None:
    """Install the tracer, and be the service."""
    kinds = {**TRACERS, "opentelemetry": EverywhereOpenTelemetry}
    kinds[os.environ["OTHER_TRACER"]](reported=True).install()
    runpy.run_module(os.environ["MODULE"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
