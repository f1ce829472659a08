import io

from hypothesis import given
from hypothesis import strategies as st

from provd.tftp import netascii, packet
from provd.tftp.transfer import Finish, Limits, ReadTransfer, Send

texts = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"text", b"\xff"])).map(b"".join)


def decode(content):
    """What a client on a Unix host makes of it."""
    return content.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")


@given(texts)
def test_rfc_764_client_that_translates_back_has_every_byte(content):
    encoded = netascii.encode(content)
    assert decode(encoded) == content
    assert all(encoded[i + 1] in b"\n\0" for i, byte in enumerate(encoded) if byte == 13)
    assert all(encoded[i - 1] == 13 for i, byte in enumerate(encoded) if byte == 10)


@given(texts, st.integers(1, 7))
def test_content_in_pieces_is_encoded_as_the_whole(content, size):
    read = netascii.encoded(io.BytesIO(content).read)
    pieces = list(iter(lambda: read(size), b""))
    assert b"".join(pieces) == netascii.encode(content)
    assert all(len(piece) == size for piece in pieces[:-1])


def test_content_that_needs_no_translation_is_not_copied():
    content = b"no line ends\0\xff"
    assert netascii.encode(content) is content


@given(texts, st.integers(8, 12))
def test_rfc_1350_transfer_sends_whole_blocks_of_encoded_content(content, blksize):
    read = netascii.encoded(io.BytesIO(content).read)
    transfer = ReadTransfer(read, None, {b"blksize": b"%d" % blksize}, Limits())
    transfer.start(0)
    action = transfer.ack_received(0, 0)
    payloads = []
    while isinstance(action, Send):
        (block,) = (packet.parse(datagram) for datagram in action.datagrams)
        payloads.append(block.payload)
        action = transfer.ack_received(block.block, 0)
    assert action == Finish()
    assert b"".join(payloads) == netascii.encode(content)
    assert all(len(payload) == blksize for payload in payloads[:-1])
