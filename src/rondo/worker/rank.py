"""One of the processes that train together (``python -m rondo.worker.rank``, started by torchrun; see ``ranks``)."""

from __future__ import annotations

import atexit
import importlib
import os
import socket
import sys
from contextlib import chdir, suppress
from pathlib import Path

from rondo.worker.channel import Channel, encode
from rondo.worker.child import Child
from rondo.worker.ranks import DOOR


def main() -> None:
    """Never returns: tearing down a process group may abort an interpreter that ends (seen with gloo)."""
    folder, code = os.environ.pop("RONDO_RANKS"), os.environ.pop("RONDO_CODE", "")
    with suppress(PermissionError):  # it leads its group already
        os.setpgid(0, 0)
    for stream in (sys.stdout, sys.stderr):  # whole lines: the ranks share one output
        stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    end = socket.socket(socket.AF_UNIX)
    with chdir(folder):
        end.connect(DOOR)
    devices = importlib.import_module("torch").cuda.device_count()
    end.sendall(encode({"rank": int(os.environ["RANK"]), "pid": os.getpid(), "gpus": devices}))
    if code:
        sys.path.insert(0, code)
    status = Child(Channel(end), Path(code) if code else None).serve()
    atexit._run_exitfuncs()  # the user's code may have registered some
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
