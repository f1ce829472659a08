"""Errors of provd: the class is the meaning, attributes carry data, the message is for a human.

Front ends translate classes into protocol errors (`rest/errors.py` holds the REST table).
"""

from __future__ import annotations

from typing import TypeVar


class ProvdError(Exception):
    """Base of every error that provd raises on purpose."""

    trespass: str | None = None
    """What of another tenant was reached for, where that is the reason; for the log only."""


E = TypeVar("E", bound=ProvdError)


def trespass(error: E, reached_for: str) -> E:
    """Return `error` with a note for the log of what of another tenant was reached for."""
    error.trespass = reached_for
    return error


class SettingsError(ProvdError):
    """A settings file or option is unusable; the message names the file, the key and the reason."""


class InvalidDocument(ProvdError):
    """A document breaks a rule; the message says where and what is allowed."""


class InvalidId(InvalidDocument):
    """A document id has a form that may not be stored."""


class RawConfigError(InvalidDocument):
    """A raw config as a whole cannot be used."""


class RawConfigParamError(RawConfigError):
    """One parameter of a raw config cannot be used."""


class InvalidSelector(ProvdError):
    """A selector is malformed: not an object, an unknown operator, or a bad operand."""


class InvalidParameter(ProvdError):
    """A daemon or plugin parameter has a value that is not allowed."""


class ParameterNotFound(ProvdError):
    """No parameter has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no parameter is named {name!r}")
        self.name = name


class DocumentNotFound(ProvdError):
    """No document of a collection has that id."""

    collection = "documents"

    def __init__(self, document_id: str) -> None:
        super().__init__(f"no document {document_id!r} in {self.collection}")
        self.document_id = document_id


class DeviceNotFound(DocumentNotFound):
    """No device has that id, or the caller may not see it."""

    collection = "devices"


class ConfigNotFound(DocumentNotFound):
    """No config has that id."""

    collection = "configs"


class DuplicateId(ProvdError):
    """A document with that id is already stored."""

    def __init__(self, collection: str, document_id: str) -> None:
        super().__init__(f"the id {document_id!r} is already used in {collection}")
        self.collection = collection
        self.document_id = document_id


class NotDeletable(ProvdError):
    """The config says `deletable: false`."""

    def __init__(self, document_id: str) -> None:
        super().__init__(f"The document {document_id} is not deletable")
        self.document_id = document_id


class OfMainTenant(ProvdError):
    """Only a token of the main tenant may change this, as all tenants share it."""


class NoAutocreateConfig(ProvdError):
    """No config has the autocreate role, or the one that has it lacks SIP line 1."""


class RevisionConflict(ProvdError):
    """Another writer changed the document since it was read."""

    def __init__(self, collection: str, document_id: str) -> None:
        super().__init__(f"{collection}/{document_id} was changed by another writer")
        self.collection = collection
        self.document_id = document_id


class IdentityTaken(ProvdError):
    """A MAC address, serial number or UUID is another device's.

    `owner_id` is for the log; the message names it only if it may be told.
    """

    def __init__(self, kind: str, value: str, owner_id: str, *, is_told: bool = False) -> None:
        whose = f"device {owner_id!r}" if is_told else "another device"
        super().__init__(f"the {kind} {value!r} belongs to {whose}")
        self.kind = kind
        self.value = value
        self.owner_id = owner_id


class NotServed(ProvdError):
    """A phone that tells only its address would get no files, so no device is made for it."""


class StoreError(ProvdError):
    """The document store failed."""


class StoreUnavailable(StoreError):
    """The document store cannot be reached, or refuses to work, now."""


class StoreFull(StoreError):
    """The document store has no room left."""


class StoreCorrupt(StoreError):
    """The document store's file is damaged or is not one of ours."""


class TooBusy(ProvdError):
    """A limit on work at one time is reached; ask again later."""


class PluginError(ProvdError):
    """Something about a plugin failed; `plugin_id` names it."""

    def __init__(self, plugin_id: str, message: str) -> None:
        super().__init__(message)
        self.plugin_id = plugin_id


class PluginLoadError(PluginError):
    """An installed plugin could not be loaded."""


class PluginNotLoaded(PluginError):
    """The plugin is not loaded, so it cannot do what was asked."""

    def __init__(self, plugin_id: str) -> None:
        super().__init__(plugin_id, f"plugin {plugin_id} is not loaded")


class PluginNotInstalled(PluginError):
    """The plugin is not installed."""


class PluginAlreadyInstalled(PluginError):
    """The plugin is already installed."""

    def __init__(self, plugin_id: str) -> None:
        super().__init__(plugin_id, f"plugin {plugin_id} is already installed")


class PluginUnknown(PluginError):
    """The last repository list has no such plugin."""

    def __init__(self, plugin_id: str) -> None:
        super().__init__(plugin_id, f"plugin {plugin_id} is not in the repository list")


class OperationRunning(ProvdError):
    """The same operation is already running."""


class OperationNotFound(ProvdError):
    """No operation has that number."""


class ArchiveError(ProvdError):
    """An archive is damaged, or holds something that may not be extracted."""


class DownloadError(ProvdError):
    """A download failed, or what came is not what was announced."""


class SynchronizeError(ProvdError):
    """The phone could not be told to reload."""


class NoWayToNotify(SynchronizeError):
    """There is no service to notify phones through."""

    def __init__(self) -> None:
        super().__init__("there is no service to notify phones through")


class UnknownProvisioningCode(ProvdError):
    """No config has that provisioning code."""


class ProvisioningRefused(ProvdError):
    """It cannot be told which device, or which config, is meant."""


class TooManyAttempts(ProvdError):
    """Too many wrong codes; `seconds` are left to wait."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class AuthenticationFailed(ProvdError):
    """The token is missing, unknown, expired, or may not do this; the client learns only that."""


class AuthUnavailable(ProvdError):
    """The service that checks tokens does not answer."""


class TenantUnknown(ProvdError):
    """The main tenant is not known yet."""


class PacketError(ProvdError):
    """A datagram is not a packet of its protocol."""


class ClientAddressError(ProvdError):
    """The address of an HTTP client cannot be told from the request."""


def describe(error: BaseException) -> str:
    """Return what an error says, or its kind where it says nothing, as SystemExit does."""
    return str(error) if str(error) and isinstance(error, Exception) else repr(error)
