"""Everything that touches OpenTelemetry, which is loaded only where it was asked for."""
