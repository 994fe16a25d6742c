"""The client: dials out, waits for orders, trains in a worker, sends updates. It opens no port."""
