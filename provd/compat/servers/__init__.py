"""Old package of the servers that phones talk to."""
