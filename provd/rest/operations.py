"""Routes of operations in progress: watch one, or forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provd.errors import OperationNotFound
from provd.rest.app import Action, Call, Reply, Route
from provd.rest.schemas import OBJECT, TEXT, envelope, with_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provd.manager.operations import Operation, Operations


def operation_route(
    path: str, operations: Callable[[Mapping[str, str]], Operations | None]
) -> Route:
    """Return the route `<path>/<operation_id>`; `operations` gives the collection for a path."""

    def collection(params: Mapping[str, str]) -> Operations:
        found = operations(params)
        if found is None:
            raise OperationNotFound("no operations here")
        return found

    def exists(params: Mapping[str, str]) -> bool:
        try:
            collection(params).get(params["operation_id"])
        except OperationNotFound:
            return False
        return True

    async def get(call: Call) -> Reply:
        operation = collection(call.params).get(call.params["operation_id"])
        document = {"status": operation.format()}
        for name in ("error", "details"):  # operations of third-party plugins have neither
            value = getattr(operation, name, None)
            if value is not None:
                document[name] = value
        return Reply(document=document)

    async def delete(call: Call) -> Reply:
        collection(call.params).forget(call.params["operation_id"])
        return Reply(204)

    return Route(
        f"{path}/<operation_id>",
        {
            "GET": Action(
                "provd.operation.read",
                get,
                "Read the status of an operation.",
                gives=with_members(envelope("status", TEXT), error=TEXT, details=OBJECT),
            ),
            "DELETE": Action("provd.operation.delete", delete, "Forget an operation.", status=204),
        },
        exists,
    )


def created(path: str, operations: Operations, operation: Operation) -> Reply:
    """Return the answer that tells where to watch a new operation."""
    return Reply(201, location=f"{path}/{operations.add(operation)}")
