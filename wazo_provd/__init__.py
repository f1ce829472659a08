"""The import root of plugins written for wazo-provd: old names for the modules of `provd.compat`.

Whatever comes first (a plugin, an author's test, `twistd --logger wazo_provd.main.twistd_logs`)
finds every old name below this package, with the same module objects as below `provd`.
"""

from provd import compat

compat.install()
