"""An application that says back what it hears, as conformance suites want it.  No I/O."""

from node.edge.frame import encode_binary, encode_text
from node.edge.server import Channel, Connection, Request, Response


class Echo:
    """Echoes messages and bodies; takes any path and no subprotocol."""

    def on_request(self, request: Request) -> Response:
        """Return the body that came."""
        return Response(200, request.body or b"hello\n")

    def on_upgrade(self, request: Request) -> None:
        """Let everybody in."""

    def on_open(self, connection: Connection, request: Request) -> None:
        """Wait for messages."""

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        """Say it back."""
        connection.send_frame(encode_text(payload) if text else encode_binary(payload))

    def on_close(self, channel: Channel, code: int) -> None:
        """Nothing is kept."""
