"""The embedded store: one SQLite file, for one daemon."""

from provd.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
