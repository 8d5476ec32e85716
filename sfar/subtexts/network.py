"""Proxies and certificates: the settings of this machine on the way to a server, and what fails because of them.

The variables are those that the client's HTTP library reads. A proxy's address may hold a password and is not shown.
"""

from __future__ import annotations

import importlib.util
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from sfar.errors import ConfigError

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)


def _set() -> dict[str, str]:
    """The proxy variables that are set; none where ``NO_PROXY`` is *."""
    if "*" in (part.strip() for v in ("no_proxy", "NO_PROXY") for part in os.environ.get(v, "").split(",")):
        return {}
    return {v: os.environ[v].strip() for v in os.environ if v.lower() in _PROXIES and os.environ[v].strip()}


def is_url(url: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Whether it is an address with one of these schemes, a host, and a port that exists if there is one."""
    try:
        u = urlsplit(url)
        return u.scheme in schemes and bool(u.hostname) and (u.port is None or u.port > 0)
    except ValueError:  # a broken port or IPv6 address
        return False


def bare(url: str) -> str:
    """A URL without user, password and query: these may be secrets."""
    u = urlsplit(url)
    return f"{u.scheme}://{u.hostname or ''}{f':{u.port}' if u.port else ''}{u.path}" if u.scheme else url


def check() -> None:
    """Raise ``ConfigError`` that names the variable for a proxy or a certificate setting that cannot work."""
    for variable, proxy in _set().items():
        url = proxy if "://" in proxy else f"http://{proxy}"
        if not is_url(url, ("http", "https", "socks5", "socks5h")):
            raise ConfigError(
                f"{variable}: expected the address of a proxy such as http://proxy:3128 or socks5://proxy:1080; "
                "correct it, or set NO_PROXY='*' to use none"
            )
        if url.startswith("socks") and importlib.util.find_spec("socksio") is None:
            raise ConfigError(
                f"{variable} names a SOCKS proxy, which needs the package socksio: pip install socksio; "
                "or set NO_PROXY='*' to use none"
            )
    if file := os.environ.get("SSL_CERT_FILE"):
        try:
            ssl.create_default_context(cafile=file)
        except OSError as e:  # no such file, or no certificate in it
            raise ConfigError(
                f"SSL_CERT_FILE={file}: no file of certificates ({e.strerror or type(e).__name__}); "
                "correct it or unset it"
            ) from e
    elif (folder := os.environ.get("SSL_CERT_DIR")) and not Path(folder).is_dir():
        raise ConfigError(f"SSL_CERT_DIR={folder}: no such folder; correct it or unset it")


def through(url: str) -> str:
    """The variable whose proxy is on the way to ``url``; "" where the way is direct."""
    u, proxies = urlsplit(url), _set()
    if proxy_bypass(u.netloc.rpartition("@")[2]):
        return ""
    wanted = (f"{u.scheme}_proxy", "all_proxy")
    return next((v for w in wanted for v in proxies if v.lower() == w), "")


def _chain(e: BaseException | None) -> Iterator[BaseException]:
    while e is not None:
        yield e
        e = e.__cause__ or e.__context__


def hopeless(e: BaseException, url: str) -> str:
    """Why a connection fails however often it is tried: a certificate, no TLS, a proxy that refuses; else ""."""
    for x in _chain(e):
        if isinstance(x, ssl.SSLCertVerificationError):
            return (
                f"shows a certificate that is not trusted here ({x.verify_message}): name the file of the authority "
                "that signed it in SSL_CERT_FILE"
            )
        if isinstance(x, ssl.SSLError) and x.reason in _NOT_TLS:
            return f"does not speak https ({x.reason}): is it http://?"
        if type(x).__name__ == "ProxyError" and str(x)[:3] in ("401", "403", "407"):
            return f"is not reached: the proxy of {through(url) or 'this machine'} refuses (HTTP {str(x)[:3]})"
    return ""
