"""Whether an aggregator has been told what it needs to know."""

from __future__ import annotations

from ..apis.fl_constant import FLConstants
from ..apis.fl_context import FLContext


def server_fl_ctx_sanity_check(fl_ctx: FLContext) -> None:
    """Raises ``ValueError`` where the context of the client is missing, or who it is."""
    peer = fl_ctx.get_prop(FLConstants.PEER_CONTEXT)
    if not isinstance(peer, FLContext) or peer.get_prop(FLConstants.CLIENT_NAME) is None:
        raise ValueError("the context does not say whose update this is")
