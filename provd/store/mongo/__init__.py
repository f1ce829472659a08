"""The store of several daemons: one MongoDB replica set."""

from provd.store.mongo.schema import SCHEMA_VERSION
from provd.store.mongo.store import MongoStore

__all__ = ["SCHEMA_VERSION", "MongoStore"]
