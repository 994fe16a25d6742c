"""Who is who: the project's authority, certificates, signed kits, revocations. No disk, no network, time comes in."""
