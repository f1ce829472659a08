"""Which error gives which status. Bodies are one plain text message, as clients expect."""

from __future__ import annotations

import math

import attrs

from provd import errors

UNAUTHORIZED = "Unauthorized"
NO_SUCH_RESOURCE = "No such resource"


@attrs.frozen
class HttpError(Exception):
    """A refusal that belongs to HTTP itself."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


# The first class that fits decides. A None text means the error's own message.
_TABLE: tuple[tuple[type[Exception], int, str | None], ...] = (
    (errors.AuthenticationFailed, 401, UNAUTHORIZED),
    (errors.AuthUnavailable, 503, None),
    (errors.TenantUnknown, 503, None),
    (errors.DocumentNotFound, 404, NO_SUCH_RESOURCE),
    (errors.OperationNotFound, 404, NO_SUCH_RESOURCE),
    (errors.ParameterNotFound, 404, NO_SUCH_RESOURCE),
    (errors.PluginNotLoaded, 404, NO_SUCH_RESOURCE),
    (errors.NotDeletable, 403, None),
    (errors.OfMainTenant, 403, None),
    (errors.InvalidDocument, 400, None),
    (errors.InvalidSelector, 400, None),
    (errors.InvalidParameter, 400, None),
    (errors.DuplicateId, 400, None),
    (errors.IdentityTaken, 400, None),
    (errors.NoAutocreateConfig, 400, None),
    (errors.PluginError, 400, None),
    (errors.OperationRunning, 400, None),
    (errors.DownloadError, 400, None),
    (errors.UnknownProvisioningCode, 400, None),
    (errors.ProvisioningRefused, 400, None),
    (RecursionError, 400, "Invalid JSON document: it is nested too deeply"),
    (errors.StoreFull, 507, None),
    (errors.StoreError, 503, None),
    (errors.TooBusy, 503, None),
    (errors.RevisionConflict, 503, None),
)


def to_http(error: BaseException) -> HttpError | None:
    """Return the status and text for an error of ours; None for anything unexpected."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, errors.TooManyAttempts):
        wait = b"%d" % math.ceil(error.seconds)
        return HttpError(429, str(error), ((b"retry-after", wait),))
    for kind, status, text in _TABLE:
        if isinstance(error, kind):
            return HttpError(status, text if text is not None else str(error))
    return None
