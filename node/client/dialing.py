"""A stream of bytes to a node, plain or TLS.  Talks to a node.

TLS trusts what the system trusts; SSL_CERT_FILE names the certificates of an own authority.
"""

import functools
import ssl

import trio

from node.client.address import Address


async def dial(address: Address) -> trio.abc.Stream:
    """Return a stream to `address`, its handshake done.

    Raises `OSError`, and `trio.BrokenResourceError` when the two do not agree on TLS.
    """
    stream = await trio.open_tcp_stream(address.host, address.port)
    if not address.tls:
        return stream
    secured = trio.SSLStream(
        stream, _context(), server_hostname=address.host, https_compatible=True
    )
    try:
        await secured.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(secured)
        raise
    return secured


@functools.cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
