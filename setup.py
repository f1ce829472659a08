"""Installs provd: the package, the twistd plugin, the plugin repository and the packaged files."""

import glob
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "provd/__init__.py").read_text())[1]
REQUIREMENTS = [
    line
    for line in (HERE / "requirements/run.in").read_text().splitlines()
    if line and not line.startswith("#")
]

setup(
    name="provd",
    version=VERSION,
    description="A phone-provisioning daemon: recognises SIP phones and serves them what they need",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    python_requires=">=3.11",
    # twisted/plugins has no __init__.py on purpose: Twisted gathers it from every installed place.
    packages=[*find_packages(include=["provd", "provd.*", "wazo_provd"]), "twisted.plugins"],
    install_requires=REQUIREMENTS,
    entry_points={
        "console_scripts": [
            "provd-admin = provd.admin.cli:main",
            "provd-dhcp = provd.dhcp.cli:main",
            "provd-dhcp-hook = provd.dhcp.hook:console",
            "provd-phone = provd.simphone.cli:main",
            "provd-plugin = provd.compat.author_tools:main",
            "provd-token = provd.auth.local:main",
        ],
        "pytest11": ["provd = provd.compat.pytest_plugin"],
    },
    data_files=[
        ("share/provd", sorted(set(glob.glob("etc/provd/*")) - {"etc/provd/run.yml"})),
        ("share/provd/systemd", glob.glob("systemd/*")),
        # `make plugins` makes the repository that ships with the daemon.
        ("share/provd/repository", glob.glob("build/repository/*")),
    ],
    zip_safe=False,
)
