"""Logging in as people see it (spec 3.3): the user name is asked for, and must be the certificate's."""

from __future__ import annotations

from rondo.base.errors import Refused, RondoError, TheirFault
from rondo.console.lines import Lines
from rondo.console.session import AdminSession
from rondo.net.errors import status_of

WELCOME = 'Type ? to list commands; type "? cmdName" to show usage of a command.'
_HANDSHAKE = ("handshake", "ssl", "certificate", "hostname verification", "socket closed")  # in gRPC's own words


def is_stranger(error: RondoError) -> bool:
    """Whether the server does not know who asks: a log-in mends it."""
    return isinstance(error, Refused) and status_of(error) == "UNAUTHENTICATED"


async def greet(session: AdminSession, lines: Lines, user: str = "") -> None:
    """Log in as ``user``; where none is given a person is asked until the name is right, a script's is the kit's.

    Raises what the server or the way to it says; its words in Clara's console have been shown then.
    """
    kit = session.kit
    asked = lines.interactive and not user
    lines.say(f"Admin Server: {kit.host} on port {kit.admin_port}")
    while True:
        name = (await lines.ask("User Name: ")).strip() if asked else user or kit.name
        try:
            await session.register(name)
        except TheirFault as error:
            broken = any(word in error.detail.lower() for word in _HANDSHAKE)
            lines.say(f"{'Failed to handshake with server' if broken else 'Communication Error'} - please try later")
            raise
        except Refused as error:
            if not is_stranger(error):
                raise
            lines.say("Incorrect user name or certificate")
            if not asked:
                raise
        else:
            lines.say(WELCOME)
            return
