"""Who may connect to the server: any client on this computer, others with the token."""

from __future__ import annotations

import hmac
import ipaddress
import os
from pathlib import Path
from typing import Literal

from tempest_gym.protocol import Hello, ProtocolError

__all__ = ["Admission", "Legacy", "is_loopback", "read_token", "split_address"]

Legacy = Literal["loopback", "all", "none"]

TOKEN_VARIABLE = "TEMPEST_TOKEN"

_SHORTEST_TOKEN = 16


class Admission:
    """Decides on hellos.

    Args:
        host: address that the server listens at.
        token: what our clients must present; None: any client on this computer may connect.
        legacy: from where clients may connect with the original's empty hello, which carries no token.

    Raises:
        ValueError: the address is open to other machines and there is no token, or ``legacy`` is not valid.
    """

    def __init__(self, host: str, token: str | None, legacy: Legacy) -> None:
        """Check the combination."""
        if not token and not is_loopback(host):
            raise ValueError(
                f"listening at {host} is open to other computers, so clients must show a token: put one of "
                f"{_SHORTEST_TOKEN} characters or more into a file or the variable {TOKEN_VARIABLE}"
            )
        if legacy not in ("loopback", "all", "none"):
            raise ValueError(f"legacy must be 'loopback', 'all' or 'none', got {legacy!r}")
        self._token, self._legacy = token, legacy

    def check(self, hello: Hello, address: str) -> None:
        """Admit a client from ``address``.

        Raises:
            ProtocolError: it may not.
        """
        if hello.protocol == 0:
            if self._legacy == "none" or (self._legacy == "loopback" and not is_loopback(address)):
                raise ProtocolError("legacy", "clients in the original's format are not accepted here")
        elif self._token and not hmac.compare_digest(_bytes(hello.token), _bytes(self._token)):
            raise ProtocolError("token", "the client shows another token")


def read_token(file: str | os.PathLike[str] | None = None, variable: str = TOKEN_VARIABLE) -> str | None:
    """Return the token in a file's first line; without a file the one in an environment variable, or None.

    Space and line ends around it do not count, since mounted secrets often end in a newline.

    Raises:
        OSError: the file cannot be read.
        ValueError: the token is shorter than 16 characters.
    """
    if file is None:
        token = os.environ.get(variable, "").strip()
        if not token:
            return None
        source = variable
    else:
        token = Path(file).expanduser().read_text(encoding="utf-8").partition("\n")[0].strip()
        source = str(file)
    if len(token) < _SHORTEST_TOKEN:
        raise ValueError(f"the token in {source} must have {_SHORTEST_TOKEN} characters or more")
    return token


def split_address(address: str, least_port: int = 1) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; a server may listen at port 0, for which the system chooses one.

    Raises:
        ValueError: the text is not such an address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not least_port <= int(port) <= 65535:
        raise ValueError(f"an address must be HOST:PORT, got {address!r}")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address, or the name, of this computer's loopback."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
