"""The server core: sockets to messages and back."""
