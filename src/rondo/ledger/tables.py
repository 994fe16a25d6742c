"""The tables. One row is one fact; times are seconds since the epoch; JSON columns hold small values only.

Runs have an ``id`` that is never used again and a ``number`` (Clara's run number, the folder ``run_N``) that may be.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

settings = Table(
    "settings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),  # hash of the token, never the token
    Column("instance", String(160), nullable=False),
    Column("name", String(128), nullable=False),  # certificate's common name
    Column("role", String(16), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("address", String(128), nullable=False),
    Column("version", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # here, away, gone
    Column("reason", Text, nullable=False, default=""),
    Column("joined_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("leave", String(16), nullable=False, default=""),  # "", shutdown, restart: an order to this client
    Column("capabilities", JSON, nullable=False),  # what this client says it can: ["codec:bf16", ...]
    Column("leave_by", String(128), nullable=False, default=""),  # who gave the order, and its event in the audit log
    Column("leave_event", String(36), nullable=False, default=""),
)
Index("sessions_instance", sessions.c.instance)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("number", Integer, nullable=False),
    Column("name", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("package", String(80), nullable=False),
    Column("package_size", BigInteger, nullable=False),
    Column("by", String(128), nullable=False),
    Column("invites", String(16), nullable=False),  # all: every client that logs in; named: those started by name
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("start_round", Integer, nullable=False),
    Column("num_rounds", Integer, nullable=False),
    Column("min_clients", Integer, nullable=False),
    Column("max_clients", Integer, nullable=False),
    Column("seed", String(128), nullable=False),
    Column("best_version", Integer),
    Column("error", JSON),
    Column("voucher", Text, nullable=False, default=""),  # of the admin who signed the package
    Column("event", String(36), nullable=False, default=""),  # in the audit log: the command that made this run
    sqlite_autoincrement=True,
)

participants = Table(
    "participants",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("client", String(160), primary_key=True),
    Column("state", String(16), nullable=False),  # invited, preparing, prepared, validating, failed, stopped
    Column("package", String(80), nullable=False),
    Column("package_size", BigInteger, nullable=False),
    Column("reason", JSON),
    Column("changed_at", Float, nullable=False),
    Column("voucher", Text, nullable=False, default=""),  # of the admin who signed the package
    Column("gpus", Integer, nullable=False),  # processes of its training; 0: as the job says
    Column("cross", Boolean, nullable=False, default=False),  # it takes part in cross-site validation, or says why not
    Column("no_cross", Text, nullable=False, default=""),
)

deployments = Table(
    "deployments",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("target", String(160), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("package", String(80), nullable=False),
    Column("package_size", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("voucher", Text, nullable=False, default=""),  # of the admin who signed the package
)

packages = Table(
    "packages",
    metadata,
    Column("name", String(128), primary_key=True),  # the folder's name in the staging area
    Column("digest", String(80), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("by", String(128), nullable=False),
    Column("at", Float, nullable=False),
    Column("voucher", Text, nullable=False, default=""),  # of the admin who signed the package
)

rounds = Table(
    "rounds",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("task", String(16), primary_key=True),  # train, validate, collect, cross
    Column("state", String(16), nullable=False),  # open, folding, committed, failed
    Column("version", Integer, nullable=False),  # of the model handed out
    Column("opened_at", Float, nullable=False),
    Column("enough_at", Float),  # when min_clients had answered: the grace wait counts from here
    Column("ended_at", Float),
)

contributions = Table(
    "contributions",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("task", String(16), primary_key=True),
    Column("client", String(160), primary_key=True),
    Column("digest", String(80), nullable=False),  # "" for a validate task
    Column("size", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("samples", Float, nullable=False),
    Column("steps", Float, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("local_metrics", JSON, nullable=False),
    Column("omitted", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
)

declines = Table(
    "declines",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("task", String(16), primary_key=True),
    Column("client", String(160), primary_key=True),
    Column("failure", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String(80), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("kept", Boolean, nullable=False),  # the files are still there
    Column("metrics", JSON, nullable=False),
    Column("provenance", JSON, nullable=False),
    Column("at", Float, nullable=False),
    Column("sent", String(80), nullable=False),  # the file that clients get: this one, or what a codec made of it
    Column("sent_size", BigInteger, nullable=False),
    Column("codecs", JSON, nullable=False),  # by way: {"up": {"name": ..., "options": ...}}
)
Index("models_kept", models.c.kept, models.c.run)

cross_models = Table(
    "cross_models",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),  # in the order of the matrix
    Column("name", String(160), nullable=False),  # of the client, or FL_global_model, best_FL_global_model
    Column("round", Integer, nullable=False),  # which validates it; -1: it is missing
    Column("digest", String(80), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sent", String(80), nullable=False),  # the file that clients get, as in models
    Column("sent_size", BigInteger, nullable=False),
    Column("missing", Text, nullable=False),  # why there is no model of this client
)
Index("cross_models_round", cross_models.c.run, cross_models.c.round)

metrics = Table(
    "metrics",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("client", String(160), primary_key=True),
    Column("scope", String(8), primary_key=True),  # global: of the model received; local: of the model trained
    Column("name", String(128), primary_key=True),
    Column("value", Float, nullable=False),
    Column("samples", Float, nullable=False),
)

offers = Table(
    "offers",
    metadata,
    Column("upload", String(64), primary_key=True),
    Column("client", String(160), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("offer", LargeBinary, nullable=False),
    Column("at", Float, nullable=False),
)

asks = Table(
    "asks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client", String(160), nullable=False),
    Column("name", String(64), nullable=False),
    Column("args", JSON, nullable=False),
    Column("by", String(128), nullable=False),
    Column("state", String(16), nullable=False),  # pending, begun, answered, withdrawn
    Column("answer", JSON),
    Column("at", Float, nullable=False),
    Column("event", String(36), nullable=False, default=""),  # in the audit log: the command that asks
)
Index("asks_client", asks.c.client, asks.c.state)

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("run", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    sqlite_autoincrement=True,  # a number is never used again, also when the last event was dropped
)
Index("events_run", events.c.run, events.c.number)
Index("events_kind", events.c.run, events.c.kind, events.c.number)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # its place in the chain, without a gap
    Column("event", String(36), nullable=False),
    Column("ref", String(36), nullable=False),  # the event that it belongs to, "" for none
    Column("at", Float, nullable=False),
    Column("user", String(160), nullable=False),
    Column("action", String(100), nullable=False),
    Column("message", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("client", String(160), primary_key=True),
    Column("number", Integer, nullable=False),  # entries that this client's own log had when it last told
    Column("hash", String(64), nullable=False),
)
