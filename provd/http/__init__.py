"""The HTTP site that phones talk to."""
