"""The site that phones talk to, under the old names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web import resource

from provd.http.site import PhoneHttpRequest as Request
from provd.http.site import PhoneSite as Site
from provd.plugin.files import page

if TYPE_CHECKING:
    from twisted.web import server

__all__ = ["AuthResource", "Request", "Site"]


class AuthResource(resource.Resource):
    """A resource for those only whom `is_authorized` lets in, which is nobody by default.

    Tokens are checked by the REST front; a plugin has no part in that.
    """

    def is_authorized(self, request: server.Request) -> bool:  # noqa: ARG002
        """Tell whether a request may be answered; to be overridden."""
        return False

    def render(self, request: server.Request) -> Any:
        """Answer, or refuse with 401."""
        if not self.is_authorized(request):
            return page(401, "Unauthorized", "Unauthorized").render(request)
        return super().render(request)
