"""The store of several daemons: one MongoDB replica set."""

from provd.store.mongo.store import SCHEMA_VERSION, MongoStore

__all__ = ["SCHEMA_VERSION", "MongoStore"]
