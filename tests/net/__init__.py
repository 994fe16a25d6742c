"""The network, through real sockets: servers, channels, transfers, and the proxies that break them."""
