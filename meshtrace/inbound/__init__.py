"""Where a request arrives: one file a protocol or framework."""
