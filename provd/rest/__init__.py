"""The management API, v0.2, in Klein."""
