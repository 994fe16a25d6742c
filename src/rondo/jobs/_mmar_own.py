"""Which components of an MMAR are its own, at the server and at a client. They are run in workers only."""

from __future__ import annotations

from rondo.jobs._mmar_files import CLIENT, SERVER, Mmar
from rondo.jobs._mmar_filters import known_as, passing
from rondo.jobs.components import Component
from rondo.jobs.findings import Findings

_SINGLE = ("aggregator", "model_persistor", "persistor", "shareable_generator")
_FILTERS = ("inbound_filters", "outbound_filters")


def own_at_server(mmar: Mmar) -> list[Component]:
    """The server's: aggregator, persistor, generator, filters, handlers."""
    root, reading = mmar.files[SERVER], mmar.reading(SERVER)
    single = [reading.component(node) for key in _SINGLE if (node := root.get(key)) is not None]
    found = [one for one in single if one is not None]
    for key in (*_FILTERS, "handlers"):
        found += reading.components(root.get(key))
    return [one for one in found if not known_as(one)]


def needs_own_worker(mmar: Mmar) -> bool:
    """Whether the server needs a worker that runs such components: also for filters, which see whole models."""
    root, reading = mmar.files[SERVER], mmar.reading(SERVER)
    listed = [one for key in _FILTERS for one in reading.components(root.get(key))]
    return bool(own_at_server(mmar)) or bool(passing(listed, Findings()))


def own_parts(mmar: Mmar) -> list[Component]:
    """The client's: trainer, filters, handlers, and the validator and filters of cross-site validation."""
    root, reading = mmar.files[CLIENT], mmar.reading(CLIENT)
    client, crossing = root.get("client"), root.get("cross_site_validation")
    nodes = [root.get("client_trainer"), crossing.get("model_validator") if crossing is not None else None]
    single = [reading.component(node) for node in nodes if node is not None]
    found = [one for one in single if one is not None]
    for section in [one for one in (client, crossing) if one is not None]:
        for key in _FILTERS:
            found += reading.components(section.get(key))
    found += reading.components(root.get("handlers"))
    return [one for one in found if not known_as(one)]


def needs_own_parts(mmar: Mmar) -> bool:
    """Whether a client's trainer has such components to run: also inbound filters, which only it can run."""
    root, reading = mmar.files[CLIENT], mmar.reading(CLIENT)
    sections = [section for key in ("client", "cross_site_validation") if (section := root.get(key)) is not None]
    inbound = [one for section in sections for one in reading.components(section.get("inbound_filters"))]
    return bool(own_parts(mmar)) or bool(passing(inbound, Findings()))
