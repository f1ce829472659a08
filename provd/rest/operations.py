"""Routes of operations in progress: watch one, or forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provd.errors import OperationNotFound, trespass
from provd.rest.app import Action, Call, Reply, Route
from provd.rest.schemas import OPERATION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provd.manager.config_access import Caller
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

    def check(call: Call, caller: Caller) -> None:
        number = call.params["operation_id"]
        owner = collection(call.params).tenant_of(number)
        if not caller.sees(owner):
            reached_for = f"operation {number} of tenant {owner or 'main'}"
            raise trespass(OperationNotFound(f"no operation {number}"), reached_for)

    async def get(call: Call) -> Reply:
        check(call, await call.reader())
        operation = collection(call.params).get(call.params["operation_id"])
        document = {"status": operation.format()}
        # Old clients look at the status alone; operations of third-party plugins have no details.
        remarks = {"reason": operation.error, "details": getattr(operation, "details", None)}
        document |= {name: value for name, value in remarks.items() if value is not None}
        return Reply(document=document)

    async def delete(call: Call) -> Reply:
        check(call, await call.caller())
        collection(call.params).forget(call.params["operation_id"])
        return Reply(204)

    return Route(
        f"{path}/<operation_id>",
        {
            "GET": Action(
                "provd.operation.read",
                get,
                "Read the status of an operation.",
                gives=OPERATION,
            ),
            "DELETE": Action("provd.operation.delete", delete, "Forget an operation.", status=204),
        },
        exists,
    )


def created(path: str, call: Call, operations: Operations, operation: Operation) -> Reply:
    """Return the answer that tells where to watch a new operation."""
    return Reply(201, location=f"{path}/{operations.add(operation, call.tenant)}")
