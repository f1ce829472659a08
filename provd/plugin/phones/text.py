"""Values as file formats hold them, safe whatever a user typed.

Every template prints values through its family's `escape`; these are the usual ones.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

# What XML 1.0 section 2.2 does not allow, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&#34;",
        "'": "&#39;",
        # As they are, a parser makes blanks of them in attributes.
        "\t": "&#9;",
        "\n": "&#10;",
        "\r": "&#13;",
    }
)
# Most values hold nothing that would need a second look.
_PLAIN = re.compile(r"[\w .,:;/*#@+=()|\[\]{}-]*", re.ASCII)
_LINE_ENDS = {"Cc", "Zl", "Zp"}


def escape_xml(value: Any) -> str:
    """Return `value` for the text or an attribute of XML 1.0; nothing for None.

    Characters that XML cannot hold are left out, all others come back from a parser as they were.
    """
    if value is None:
        return ""
    text = str(value)
    if _PLAIN.fullmatch(text) is not None:
        return text
    return _NOT_XML.sub("", text).translate(_XML_ESCAPES)


def to_one_line(value: Any) -> str:
    """Return `value` on one line: line ends and other control characters turn into blanks.

    For formats in which a line ends the value and nothing can quote one.
    """
    if value is None:
        return ""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(" " if unicodedata.category(char) in _LINE_ENDS else char for char in text)


def to_line_value(value: Any) -> str:
    """Return `value` as it may stand after `key = `: on one line, no blanks at its ends.

    Booleans are 1 and 0.
    """
    return str(int(value)) if isinstance(value, bool) else to_one_line(value).strip()


def is_line_safe(text: str) -> bool:
    """Tell whether a line that cannot quote its value gives a text back as it was."""
    return to_one_line(text).strip() == text


def is_xml_safe(text: str) -> bool:
    """Tell whether XML gives a text back as it was."""
    return html.unescape(escape_xml(text)) == text
