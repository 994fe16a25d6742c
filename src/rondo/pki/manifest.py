"""``kit.json`` says whose kit this is and the SHA-256 of every file in it; ``kit.sig`` is the authority's word."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

import msgspec

from rondo.base.errors import BadInput, Refused
from rondo.pki.authority import Authority
from rondo.pki.certificates import Certificate, Role
from rondo.pki.signatures import sign, verify

MANIFEST = "kit.json"
SIGNATURE = "kit.sig"
FORMAT = 1

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What ``kit.json`` says. ``created`` is UTC, ISO 8601; ``files`` maps a file name to 64 hex digits."""

    format: int
    project: str
    role: Role
    name: str
    org: str
    created: str
    files: dict[str, _Digest]


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of every file, 64 hex digits, sorted by name."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def seal(manifest: Manifest, authority: Authority) -> dict[str, bytes]:
    """The two files that turn a folder of files into a kit: ``kit.json`` and ``kit.sig``."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    return {MANIFEST: text, SIGNATURE: sign(text, authority.key_pem).encode() + b"\n"}


def read_manifest(files: Mapping[str, bytes], authority: Certificate) -> Manifest:
    """The manifest in ``files``, believed only when ``authority`` signed it.

    Raises ``BadInput`` when it is missing, malformed or of a later format, ``Refused`` when the signature fails.
    """
    for name in (MANIFEST, SIGNATURE):
        if name not in files:
            raise BadInput(f"the start-up kit has no {name}", where=name, hint="open the kit's zip file again")
    text = files[SIGNATURE].decode("ascii", errors="replace")
    if not text.endswith("\n"):
        raise Refused("the signature is cut off", where=SIGNATURE, hint="open the kit's zip file again")
    verify(files[MANIFEST], text[:-1], authority, SIGNATURE)
    try:
        manifest = msgspec.json.decode(files[MANIFEST], type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"not a kit manifest: {error}", where=MANIFEST) from None
    if manifest.format > FORMAT:
        raise BadInput(
            f"the kit has format {manifest.format}, this version of Rondo knows {FORMAT}",
            where=MANIFEST,
            hint="update Rondo",
        )
    return manifest


def check_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Raise ``Refused`` that names every file of the manifest which is missing or was changed."""
    found = digests({name: files[name] for name in manifest.files if name in files})
    bad = [name for name in sorted(manifest.files) if found.get(name) != manifest.files[name]]
    if bad:
        raise Refused(
            f"The following files are not secure content. They are: {', '.join(bad)}",
            where="startup",
            hint="they are missing or were changed after the kit was signed; open the kit's zip file again",
        )
