"""Proxies and certificates: settings that cannot work are named before anything is asked, the others are heeded."""

import os
import shutil
import ssl
import subprocess

import pytest
from loopback import Loopback, Reply, asked, forms

from sfar.cli.main import main
from sfar.errors import SfarError
from sfar.subtexts import network
from sfar.subtexts.generate import Asker, Question, Settings
from sfar.subtexts.journal import Journal

TEXTS = ["raising the hand", "bending the knee", "turning the head", "lifting the foot"]
PASSWORD = "hunter2-secret"


def good(request, count):
    return Reply(text=forms(TEXTS)["numbered"])


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "SSL_CERT")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def generate(url, folder, *argv):
    given = ["--model", "m", "--classes", "jump", "--base-url", url, "--retries", "0", "--out", str(folder / "o.json")]
    return main(["subtexts", "generate", *given, *argv])


def ask(url, folder):
    settings = Settings("m", base_url=url, key_variable="", retries=0, timeout=60)
    return Asker(settings, Journal(folder / "journal.jsonl")).run([Question("jump", 1)])


@pytest.mark.parametrize(
    "variable, value, said",
    [
        ("ALL_PROXY", "socks4://127.0.0.1:1", "expected the address of a proxy such as http://"),
        ("HTTPS_PROXY", f"foo://me:{PASSWORD}@host", "expected the address of a proxy such as http://"),
        ("http_proxy", "http://[::1", "expected the address of a proxy"),
        ("HTTP_PROXY", "http://host:port", "expected the address of a proxy"),
        ("HTTP_PROXY", "http://host:99999", "expected the address of a proxy"),
        ("HTTP_PROXY", "http://", "expected the address of a proxy"),
        ("SSL_CERT_FILE", "/no/such/file.pem", "=/no/such/file.pem: no file of certificates (No such file"),
        ("SSL_CERT_FILE", "/", "no file of certificates"),
        ("SSL_CERT_FILE", __file__, "no file of certificates"),
        ("SSL_CERT_DIR", "/no/such/folder", "=/no/such/folder: no such folder"),
    ],
)
def test_a_setting_that_cannot_work(tmp_path, monkeypatch, capsys, variable, value, said):
    """One line that names the variable, no traceback, no password of a proxy."""
    monkeypatch.setenv(variable, value)
    with Loopback(good) as server:
        assert generate(server.url, tmp_path) == 2
        assert server.requests == []
    err = capsys.readouterr().err
    assert err.startswith(f"sfar: {variable}") and said in err and len(err.splitlines()) == 1
    assert PASSWORD not in err


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_without_its_package(tmp_path, monkeypatch, capsys, scheme):
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:{PASSWORD}@127.0.0.1:1")
    monkeypatch.setattr(network.importlib.util, "find_spec", lambda name: None)
    with Loopback(good) as server:
        assert generate(server.url, tmp_path) == 2
        err = capsys.readouterr().err
        assert "sfar: ALL_PROXY names a SOCKS proxy, which needs the package socksio: pip install socksio" in err
        assert PASSWORD not in err and server.requests == []
        monkeypatch.setenv("NO_PROXY", "*")
        assert generate(server.url, tmp_path) == 0


def test_what_the_client_cannot_be_made_with(tmp_path, monkeypatch, capsys):
    """Whatever its HTTP library raises for a variable that was not foreseen."""

    def broken(*_, **__):
        raise RuntimeError(f"cannot parse {PASSWORD}")

    monkeypatch.setattr("openai.OpenAI", broken)
    assert generate("http://127.0.0.1:9/v1", tmp_path) == 2
    err = capsys.readouterr().err
    assert "no connection can be set up (RuntimeError): check NO_PROXY" in err and PASSWORD not in err


def test_a_proxy_is_used(tmp_path, monkeypatch):
    """The request for a host that does not exist arrives at the proxy."""
    with Loopback(good) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        (outcome,) = ask("http://no-such-host.invalid/v1", tmp_path)
        assert outcome.texts == TEXTS and [asked(r) for r in proxy.requests] == ["jump"]
        assert {k.lower(): v for k, v in proxy.headers[0].items()}["host"] == "no-such-host.invalid"


def test_a_proxy_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{PASSWORD}@127.0.0.1:9")
    (outcome,) = ask("http://no-such-host.invalid/v1", tmp_path)
    assert "connection failed through the proxy of HTTP_PROXY: " in outcome.problem and PASSWORD not in outcome.problem


def test_a_proxy_that_wants_a_password(tmp_path, monkeypatch):
    with Loopback(lambda request, count: Reply(status=407, body=b"no")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        with pytest.raises(SfarError, match=r"the proxy of http_proxy wants a user and a password \(HTTP 407\)"):
            ask("http://no-such-host.invalid/v1", tmp_path)


@pytest.mark.parametrize(
    "variables, url, through",
    [
        ({}, "http://host/v1", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://host/v1", "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://p:1"}, "https://host/v1", ""),
        ({"HTTPS_PROXY": "p:1", "ALL_PROXY": "q:1"}, "https://host/v1", "HTTPS_PROXY"),
        ({"HTTP_PROXY": "p:1", "all_proxy": "q:1"}, "https://host/v1", "all_proxy"),
        ({"ALL_PROXY": "q:1", "NO_PROXY": "host"}, "https://host/v1", ""),
        ({"ALL_PROXY": "q:1", "NO_PROXY": "*"}, "https://host/v1", ""),
        ({"ALL_PROXY": " "}, "https://host/v1", ""),
    ],
)
def test_which_proxy_is_on_the_way(monkeypatch, variables, url, through):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    network.check()
    assert network.through(url) == through


def test_https_asked_of_a_server_without_it(tmp_path):
    with Loopback(good) as server, pytest.raises(SfarError, match=r"does not speak https .*: is it http://\?"):
        ask(server.url.replace("http://", "https://"), tmp_path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody but its own file vouches for, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    files = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run([openssl, "req", *made, *subject], check=True, capture_output=True)
    return files


def test_a_certificate_that_is_not_trusted(tmp_path, monkeypatch, certificate):
    """It ends at once and says which variable names the authority; with it the same request is answered."""
    server = Loopback(good)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    url = server.url.replace("http://", "https://")
    with server:
        with pytest.raises(
            SfarError, match=r"certificate that is not trusted here \(self.signed certificate\).*SSL_CERT_FILE"
        ):
            ask(url, tmp_path)
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert ask(url, tmp_path)[0].texts == TEXTS


def test_a_proxy_that_refuses_the_way_to_https():
    class ProxyError(Exception):
        """As the HTTP library names it."""

    assert network.hopeless(ProxyError("407 Proxy Authentication Required"), "https://host") == (
        "is not reached: the proxy of this machine refuses (HTTP 407)"
    )
    assert network.hopeless(ProxyError("503 Service Unavailable"), "https://host") == ""
    assert network.hopeless(ConnectionResetError("reset"), "https://host") == ""
