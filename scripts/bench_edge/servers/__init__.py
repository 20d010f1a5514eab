"""One small application on several servers: what `load.c` and `measures.py` talk to.

    message                  answer
    binary, begins with B    the message, to everybody who is connected
    binary, G                milliseconds that a full garbage collection took, where there is one
    any other                the message
    GET /                    56 bytes of JSON

No compression.  Started as `python SERVER.py PORT`, in the environment that has the library.
"""
