"""Write rondo_pb2.py and rondo_pb2.pyi from rondo.proto, or check that they are what it gives.

The generator stays at grpcio-tools 1.76: what it writes runs on protobuf 6.31 and on 7; newer generators stamp
their code with a version that protobuf 6 refuses to import.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

WIRE = Path(__file__).parents[1] / "src" / "rondo" / "wire"
NAMES = ("rondo_pb2.py", "rondo_pb2.pyi")


def generate(folder: Path) -> None:
    """Write both files into ``folder``. Raises ``SystemExit`` with what protoc says of a bad schema."""
    arguments = ["protoc", f"-I{WIRE}", f"--python_out={folder}", f"--pyi_out={folder}", str(WIRE / "rondo.proto")]
    if protoc.main(arguments) != 0:
        raise SystemExit(f"protoc refuses {WIRE / 'rondo.proto'}: see above")


def main() -> int:
    if "--check" not in sys.argv[1:]:
        generate(WIRE)
        return 0
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name))
        stale = [file for file in NAMES if (Path(name) / file).read_bytes() != (WIRE / file).read_bytes()]
    for file in stale:
        sys.stderr.write(f"{WIRE / file} is not what rondo.proto gives: run `make stubs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
