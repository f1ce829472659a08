"""Where documents are: a SQLite file or a MongoDB database, and how to open it."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

import attrs

from provd.errors import SettingsError, StoreUnavailable
from provd.store.memory import MemoryStore
from provd.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from provd.settings import Settings
    from provd.store.interface import Store

MONGODB_SCHEMES = ("mongodb", "mongodb+srv")


@attrs.frozen
class Place:
    """A document store that a command works on: the file at `path`, or else `uri` and `name`."""

    path: str | None = None
    uri: str = attrs.field(default="", repr=False)
    name: str = ""

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        parts = urlsplit(self.uri)
        # Never the password.
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{self.name}"

    @property
    def file(self) -> str:
        """The SQLite file; SettingsError where documents are in MongoDB."""
        if self.path is None:
            raise SettingsError(f"{self} is not a SQLite file, which this is for")
        return self.path

    def store(self, reactor: Any, *, read_only: bool = False) -> Store:
        """Return the store, not open yet. Where only to read, a file may be another process's.

        A file that is not there is an empty store to read.
        """
        if self.path is not None:
            if read_only and not os.path.lexists(self.path):
                return MemoryStore()
            return SqliteStore(reactor, self.path, read_only=read_only)
        try:
            # Late, as only those who use MongoDB have its client.
            module = importlib.import_module("provd.store.mongo")
        except ImportError as error:
            raise StoreUnavailable(f"{self}: MongoDB cannot be used here: {error}") from error
        store: Store = module.MongoStore(reactor, self.uri, self.name)
        return store

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self.path is not None and not os.path.lexists(self.path)


def parse_place(text: str) -> Place:
    """Return the place that a URI or a path names; SettingsError."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme in MONGODB_SCHEMES:
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise SettingsError(f"this is not a MongoDB URI: {error}") from error
        if not parts.netloc.rpartition("@")[2]:
            raise SettingsError("a MongoDB URI names a host")
        name = unquote(parts.path.strip("/")) or "provd"
        # Users may be kept in that database, as MongoDB reads URIs; the store takes it by itself.
        query = parts.query
        if "@" in parts.netloc and parts.path.strip("/") and "authsource=" not in query.lower():
            query = f"{query}&authSource={parts.path.strip('/')}".lstrip("&")
        return Place(uri=urlunsplit((parts.scheme, parts.netloc, "/", query, "")), name=name)
    if colon and scheme == "sqlite":
        text = f"/{rest.lstrip('/')}" if rest.startswith("/") else rest
    elif "://" in text:
        raise SettingsError(f"{scheme}: is no kind of store; allowed are sqlite: and mongodb:")
    if not text:
        raise SettingsError("a store has a path or a URI")
    return Place(path=os.path.abspath(text))


def place_of(settings: Settings) -> Place:
    """Return the place that the daemon's settings name; SettingsError if nothing is kept."""
    database = settings.database
    if database.type == "memory":
        raise SettingsError("database.type: memory keeps nothing that could be worked on")
    if database.type == "mongodb":
        return Place(uri=database.uri, name=database.name)
    return Place(path=database.file)
