r"""Content in the mode netascii: what RFC 1350 section 1 takes from RFC 764.

On the wire a line ends with CR LF, and a CR that ends no line is CR NUL. Files here are those of a
Unix host, where LF ends a line, so each LF becomes CR LF and each CR becomes CR NUL: a client that
translates back has every byte of the file, whatever it holds. Content with neither goes as it is.
Each byte is translated by itself, so that content may come in pieces.
"""

from collections.abc import Callable


def encode(content: bytes) -> bytes:
    """Return `content` as it goes over the wire."""
    if b"\r" in content:
        content = content.replace(b"\r", b"\r\0")
    if b"\n" in content:
        content = content.replace(b"\n", b"\r\n")
    return content


def encoded(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return a function that reads what `read` gives, encoded; fewer bytes only at the end."""
    waiting = bytearray()

    def read_encoded(size: int) -> bytes:
        while len(waiting) < size:
            piece = read(size)
            if not piece:
                break
            waiting.extend(encode(piece))
        answer = bytes(waiting[:size])
        del waiting[:size]
        return answer

    return read_encoded
