"""The device manager: one asynchronous method for each use case."""
