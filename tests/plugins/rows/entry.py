"""Tries every row of the plugin API from within, and serves phones of the maker Rowan.

Each row is a parameter of the configure service: setting it runs the row, its value is the outcome.
"""

# ruff: noqa: F821 - the loader gives names

import inspect

from twisted.internet import defer
from wazo_provd.services import AbstractConfigurationService

common = {}
execfile_("common.py", common)

ROWS = {}


def row(name):
    def register(function):
        assert name not in ROWS, name
        ROWS[name] = function
        return function

    return register


for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13):
    scope = {"row": row, "common": common}
    execfile_(f"section_{number}.py", scope)


class RowService(AbstractConfigurationService):
    def __init__(self, plugin):
        self._plugin = plugin
        self._outcomes = {}

    @property
    def description(self):
        return [(name, None) for name in ROWS]

    def get(self, name):
        return self._outcomes[name] if name in self._outcomes else ROWS[name] and None

    def set(self, name, value):
        function = ROWS[name]
        self._outcomes[name] = None

        async def run():
            result = function(self._plugin)
            if inspect.isawaitable(result):
                await result

        def done(result):
            failed = hasattr(result, "getTraceback")
            self._outcomes[name] = result.getTraceback() if failed else "passed"

        defer.Deferred.fromCoroutine(run()).addBoth(done)


class RowsPlugin(common["BaseRowsPlugin"]):
    IS_PLUGIN = True

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.services = {"configure": RowService(self), **self.helper.services()}


class NotThisOne(common["BaseRowsPlugin"]):
    IS_PLUGIN = True
