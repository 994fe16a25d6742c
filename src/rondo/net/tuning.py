"""What gRPC is told about time and size. Nobody needs to configure any of it; tests shorten the times."""

from __future__ import annotations

import resource
from dataclasses import dataclass

MIB = 1 << 20
CHUNK = MIB  # bytes of a file in one message
SMALL = 64 * 1024  # bytes of a file that rides along with the message that names it
LARGEST = 4 * MIB + 4096  # bytes of any one message
METADATA = 16 * 1024  # bytes of metadata of one call
WINDOW = 4 * MIB  # bytes of one stream that may be on their way: 100 ms at 320 Mbit/s, and what a slow reader costs
STREAMS = 128  # calls at once on one connection

MOST_FILES = 65_536  # that a server has open at once: every connection is one

Options = list[tuple[str, int | str]]


@dataclass(frozen=True)
class Tuning:
    """Times in seconds.

    ``ping``: after this much silence the other side is asked whether it lives; well below the five minutes after
    which a NAT forgets a connection. ``answer``: how long it may take to say so, and how long sent bytes may go
    without the other machine's TCP acknowledging them; with ``ping`` under 30 s. ``bulk_answer``: the same for a
    question that may have to wait behind megabytes (4 MiB at 35 KB/s) that the other machine does acknowledge.
    ``handshake``: what a peer may take to say who it is. ``first_pause``, ``longest_pause``: between attempts to
    connect; gRPC adds 20 % of jitter.
    """

    ping: float = 15.0
    answer: float = 12.0
    bulk_answer: float = 120.0
    handshake: float = 10.0
    first_pause: float = 0.25
    longest_pause: float = 1.0


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _both(tuning: Tuning, ping: float, answer: float) -> Options:
    return [
        ("grpc.keepalive_time_ms", _ms(ping)),
        ("grpc.keepalive_timeout_ms", _ms(tuning.answer)),  # becomes TCP_USER_TIMEOUT
        ("grpc.http2.ping_timeout_ms", _ms(answer)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A window of a fixed size: one that grows to what the line can hold takes 16 MiB a stream on a fast one.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", WINDOW),
        ("grpc.max_receive_message_length", LARGEST),
        ("grpc.max_send_message_length", LARGEST),
        ("grpc.max_metadata_size", METADATA),
        ("grpc.absolute_max_metadata_size", METADATA),
    ]


def channel_options(tuning: Tuning, proxy: str | None) -> Options:
    """For a client's connection, through ``proxy`` where there is one (see ``rondo.net.route``)."""
    return _client(tuning, proxy, tuning.answer)


def bulk_options(tuning: Tuning, proxy: str | None) -> Options:
    """For the connection that files take: opened by the first transfer, closed a minute after the last."""
    return [*_client(tuning, proxy, tuning.bulk_answer), ("grpc.client_idle_timeout_ms", 60_000)]


def _client(tuning: Tuning, proxy: str | None, answer: float) -> Options:
    route: Options = [("grpc.http_proxy", proxy)] if proxy else [("grpc.enable_http_proxy", 0)]
    return [
        *_both(tuning, tuning.ping, answer),
        *route,
        # Every channel is a connection of its own, whatever else this process has open.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", _ms(tuning.first_pause)),
        ("grpc.max_reconnect_backoff_ms", _ms(tuning.longest_pause)),
        ("grpc.min_reconnect_backoff_ms", _ms(tuning.handshake)),
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
        # Trying again is decided here (rondo.net.retry), not below.
        ("grpc.enable_retries", 0),
    ]


def server_options(tuning: Tuning) -> Options:
    """For a server. It pings a little later than its clients do: a client that pings is known to live."""
    return [
        *_both(tuning, tuning.ping * 1.15, tuning.bulk_answer),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(tuning.ping / 3)),
        ("grpc.server_handshake_timeout_ms", _ms(tuning.handshake)),
        ("grpc.max_concurrent_streams", STREAMS),
        # Two servers on one port would each get half of the clients: let the second one fail instead.
        ("grpc.so_reuseport", 0),
    ]


def many_files() -> None:
    """Let this process have up to ``MOST_FILES`` files open, as far as the system allows. Shells often allow 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
