"""A certificate with its key, for settings that name files of them."""

from __future__ import annotations

from pathlib import Path

import trustme


def write_pair(folder: Path, certificate: str = "cert.pem", key: str = "key.pem") -> None:
    """Writes a new certificate for localhost and its key into files of these names."""
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(folder / certificate)
    issued.private_key_pem.write_to_path(folder / key)
