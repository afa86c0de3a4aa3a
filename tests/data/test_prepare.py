"""Download, check and unpack, from a server of this test's own."""

import hashlib
import io
import os
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console

from helpers import official
from sib.cli.main import main
from sib.data import open_data
from sib.data.datasets.catalogue import CATALOGUE, Archive, Published
from sib.data.download import download
from sib.data.prepare import prepare_set
from sib.data.readers.unpack import Limits, unpack
from sib.utils.errors import InputError


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.files``; ``server.breaks`` holds after how many bytes it breaks off next."""

    def do_GET(self):
        content = self.server.files.get(self.path)
        self.server.asked.append((self.path, self.headers.get("Range")))
        if content is None:
            return self.send_error(404)
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(found[1]) if found and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        length = self.server.breaks.pop(0) if self.server.breaks else len(content)
        self.wfile.write(content[start : start + length])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.breaks, server.asked, server.ranges = {}, [], [], True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def serve(server, name, content, checksum="md5"):
    server.files[f"/{name}"] = content
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    stated = f"{checksum}:{hashlib.new(checksum, content).hexdigest()}" if checksum else None
    return Archive(url, len(content), stated)


def pack(folder, *names, mode="w:gz"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name in names:
            tar.add(folder / name, name)
    return stream.getvalue()


def pack_member(change, content=b"x"):
    """An archive of one harmless file and one member that ``change`` makes bad."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("good", "bad"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name == "bad":
                change(member)
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return stream.getvalue()


def published(*archives, folder="CUB_200_2011", largest=10**6, most=1000):
    return Published("Birds", 2, 4, 2, "boxes", "cub", folder, archives, largest, most)


def quiet():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def birds(server, tmp_path):
    """CUB's two archives, served, and the catalogue's entry of them."""
    source = official.make_cub200(tmp_path / "source", classes=2)
    (source / "attributes.txt").write_text("1 has_bill_shape\n")
    return published(
        serve(server, "CUB.tgz", pack(source, "CUB_200_2011", "attributes.txt")),
        serve(server, "segmentations.tgz", pack(source, "segmentations"), "sha256"),
    )


class TestPrepare:
    def test_ends_with_a_set_that_opens(self, birds, tmp_path):
        root = tmp_path / "data"
        console = quiet()
        prepare_set("cub200", birds, root, console)
        assert sorted(os.listdir(root)) == ["CUB.tgz", "CUB_200_2011", "segmentations.tgz"]
        splits = open_data("cub200", root=root)
        assert len(splits.test) == 2 and splits.test[0].foreground.sum() == 12 * 9
        assert (root / "CUB_200_2011" / "attributes.txt").is_file()
        assert f"Birds is in {root / 'CUB_200_2011'}" in console.file.getvalue()

    def test_archives_without_a_folder_of_their_own_get_one(self, server, tmp_path):
        source = official.make_stanford_dogs(tmp_path / "source", classes=2)
        archives = [
            serve(server, f"{name}.tar", pack(source, name, mode="w"))
            for name in ("Images", "Annotation", "lists")
        ]
        prepare_set("stanford_dogs", published(*archives, folder="dogs"), tmp_path, quiet())
        assert len(open_data("stanford_dogs", root=tmp_path / "dogs").test) == 2

    def test_a_prepared_set_is_recognised(self, birds, server, tmp_path):
        prepare_set("cub200", birds, tmp_path, quiet())
        server.asked.clear()
        console = quiet()
        prepare_set("cub200", birds, tmp_path, console)
        assert not server.asked
        assert f"Birds is already in {tmp_path / 'CUB_200_2011'}" in console.file.getvalue()

    def test_archives_that_lie_there_are_not_downloaded(self, birds, server, tmp_path):
        for archive in birds.archives:
            (tmp_path / archive.file).write_bytes(server.files[f"/{archive.file}"])
        server.files.clear()
        prepare_set("cub200", birds, tmp_path, quiet())
        assert not server.asked and len(open_data("cub200", root=tmp_path).test) == 2

    def test_without_a_published_checksum_the_own_one_is_told(self, server, tmp_path):
        source = official.make_cub200(tmp_path / "source", classes=2)
        content = pack(source, "CUB_200_2011")
        console = quiet()
        archive = serve(server, "CUB.tgz", content, checksum=None)
        prepare_set("cub200", published(archive), tmp_path / "data", console)
        assert hashlib.sha256(content).hexdigest() in console.file.getvalue().replace("\n", "")

    def test_a_foreign_folder_of_that_name_is_left_alone(self, birds, tmp_path):
        (tmp_path / "CUB_200_2011").mkdir()
        (tmp_path / "CUB_200_2011" / "mine").write_text("mine")
        with pytest.raises(InputError, match="exists and is not a complete Birds; remove it"):
            prepare_set("cub200", birds, tmp_path, quiet())
        assert (tmp_path / "CUB_200_2011" / "mine").read_text() == "mine"

    def test_wrong_checksum_of_an_archive_that_lies_there(self, birds, server, tmp_path):
        content = bytearray(server.files["/CUB.tgz"])
        content[100] ^= 1
        (tmp_path / "CUB.tgz").write_bytes(content)
        with pytest.raises(InputError, match=r"CUB.tgz has the md5 \w+, and CUB.tgz has \w+; remo"):
            prepare_set("cub200", birds, tmp_path, quiet())
        assert (tmp_path / "CUB.tgz").exists() and not (tmp_path / "CUB_200_2011").exists()

    def test_truncated_archive_that_lies_there(self, birds, server, tmp_path):
        content = server.files["/CUB.tgz"]
        (tmp_path / "CUB.tgz").write_bytes(content[:-50])
        message = rf"CUB.tgz has {len(content) - 50} bytes, and CUB.tgz has {len(content)}"
        with pytest.raises(InputError, match=message):
            prepare_set("cub200", birds, tmp_path, quiet())

    def test_a_bad_archive_leaves_no_folder_behind(self, server, tmp_path):
        archive = serve(server, "a.tar", pack_member(lambda m: setattr(m, "name", "../bad")))
        with pytest.raises(InputError, match=r"'\.\./bad' leaves the folder"):
            prepare_set("cub200", published(archive), tmp_path / "data", quiet())
        assert os.listdir(tmp_path / "data") == ["a.tar"]


class TestDownload:
    content = bytes(range(256)) * 20

    def fetch(self, server, folder, **options):
        return download(serve(server, "a.bin", self.content, **options), folder, lambda *_: None)

    def test_goes_on_where_the_server_broke_off(self, server, tmp_path):
        server.breaks = [1000, 2000]
        assert self.fetch(server, tmp_path) == hashlib.sha256(self.content).hexdigest()
        assert (tmp_path / "a.bin").read_bytes() == self.content
        assert [asked for _, asked in server.asked] == [None, "bytes=1000-", "bytes=3000-"]
        assert os.listdir(tmp_path) == ["a.bin"]

    def test_goes_on_from_an_earlier_attempt(self, server, tmp_path):
        (tmp_path / "a.bin.part").write_bytes(self.content[:700])
        self.fetch(server, tmp_path)
        assert server.asked == [("/a.bin", "bytes=700-")]
        assert (tmp_path / "a.bin").read_bytes() == self.content

    def test_starts_anew_where_the_server_knows_no_ranges(self, server, tmp_path):
        server.ranges = False
        (tmp_path / "a.bin.part").write_bytes(b"other" * 100)
        self.fetch(server, tmp_path)
        assert (tmp_path / "a.bin").read_bytes() == self.content

    def test_a_whole_part_needs_no_server(self, server, tmp_path):
        (tmp_path / "a.bin.part").write_bytes(self.content)
        self.fetch(server, tmp_path)
        assert server.asked == [] and (tmp_path / "a.bin").exists()

    def test_wrong_checksum_removes_what_arrived(self, server, tmp_path):
        archive = serve(server, "a.bin", self.content)
        server.files["/a.bin"] = self.content[::-1]
        with pytest.raises(InputError, match=r"what arrived has the md5 .*; it was removed"):
            download(archive, tmp_path, lambda *_: None)
        assert os.listdir(tmp_path) == []

    def test_a_file_that_goes_on_for_ever_is_refused(self, server, tmp_path):
        archive = serve(server, "a.bin", self.content)
        server.files["/a.bin"] = bytes(5 * 2**20)
        with pytest.raises(InputError, match=r"what arrived has \d+ bytes, and a.bin has 5120"):
            download(archive, tmp_path, lambda *_: None)

    def test_gives_up_where_nothing_more_comes_and_keeps_what_came(self, server, tmp_path):
        server.breaks = [1000] + [0] * 10
        with pytest.raises(InputError) as caught:
            self.fetch(server, tmp_path)
        assert "broke off); 1000 of 5120 bytes are kept; run the command again" in str(caught.value)
        assert (tmp_path / "a.bin.part").stat().st_size == 1000

    def test_a_missing_file_says_what_to_put_where(self, server, tmp_path):
        archive = serve(server, "a.bin", self.content)
        server.files.clear()
        with pytest.raises(InputError) as caught:
            download(archive, tmp_path, lambda *_: None)
        assert f"(Not Found); run the command again, or put a.bin into {tmp_path}" in str(
            caught.value
        )

    def test_no_server(self, server, tmp_path):
        archive = serve(server, "a.bin", self.content)
        server.shutdown()
        server.server_close()
        with pytest.raises(InputError, match=r"cannot be downloaded \(.*refused\)"):
            download(archive, tmp_path, lambda *_: None)


class TestUnpack:
    def unpack(self, tmp_path, content, largest=10**6, most=100):
        (tmp_path / "a.tar").write_bytes(content)
        (tmp_path / "out").mkdir()
        unpack(tmp_path / "a.tar", tmp_path / "out", Limits(largest, most), lambda *_: None)

    def refused(self, tmp_path, content, *parts, **limits):
        with pytest.raises(InputError) as caught:
            self.unpack(tmp_path, content, **limits)
        assert all(part in str(caught.value) for part in ("a.tar", *parts)), str(caught.value)
        assert not [path for path in tmp_path.iterdir() if path.name not in ("a.tar", "out")]

    def test_path_out_of_the_folder(self, tmp_path):
        content = pack_member(lambda member: setattr(member, "name", "b/../../bad"))
        self.refused(tmp_path, content, "'b/../../bad' leaves the folder")

    def test_absolute_path(self, tmp_path):
        content = pack_member(lambda member: setattr(member, "name", f"{tmp_path}/bad"))
        self.refused(tmp_path, content, "leaves the folder")

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_link_or_device(self, kind, tmp_path):
        def change(member):
            member.type, member.linkname, member.size = kind, "/etc/passwd", 0

        self.refused(tmp_path, pack_member(change), "'bad' is a link or a device")

    def test_bomb(self, tmp_path):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            member = tarfile.TarInfo("zeros")
            member.size = 2**24
            tar.addfile(member, io.BytesIO(bytes(2**24)))
        assert len(stream.getvalue()) < 2**16
        self.refused(tmp_path, stream.getvalue(), "unpacks to more than the data set holds")
        assert os.listdir(tmp_path / "out") == []

    def test_too_many_files(self, tmp_path):
        self.refused(tmp_path, pack_member(lambda m: None), "more than the data set", most=1)

    @pytest.mark.parametrize("kept", [0, 1, 10, 200, -2000])
    def test_cut_off(self, kept, tmp_path):
        source = official.make_cub200(tmp_path / "source", classes=2)
        content = pack(source, "CUB_200_2011")
        (tmp_path / "a.tar").write_bytes(content[:kept])
        (tmp_path / "out").mkdir()
        with pytest.raises(InputError, match=r"a.tar is damaged or cut off"):
            unpack(tmp_path / "a.tar", tmp_path / "out", Limits(10**6, 100), lambda *_: None)


class TestCommand:
    def run(self, capsys, *arguments):
        code = main(["data", "prepare", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split())

    def test_unknown_name(self, capsys):
        code, text = self.run(capsys, "cub")
        assert code == 2 and "name must be one of cifar100, cub200" in text

    def test_imagenet_says_what_to_put_where(self, capsys, tmp_path):
        code, text = self.run(capsys, "imagenet", "--root", tmp_path / "data")
        assert code == 2 and "image-net.org" in text and "train/<synset>/*.JPEG" in text
        assert not (tmp_path / "data").exists()

    def test_a_set_that_is_there(self, capsys, published_root):
        code, text = self.run(capsys, "imagenet", "--root", published_root("imagenet"))
        assert code == 0 and "ImageNet-1k is already in" in text

    def test_root_that_cannot_be_written(self, capsys, tmp_path):
        (tmp_path / "file").write_text("")
        code, text = self.run(capsys, "cifar100", "--root", tmp_path / "file" / "data")
        assert code == 2 and "cannot be written: Not a directory" in text

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_read_only_root(self, capsys, tmp_path):
        tmp_path.chmod(0o555)
        code, text = self.run(capsys, "cifar100", "--root", tmp_path)
        tmp_path.chmod(0o755)
        assert code == 2 and "cannot be written: Permission denied" in text


def test_every_published_set_has_what_prepare_needs():
    for name, entry in CATALOGUE.items():
        assert entry.archives or entry.by_hand, name
        for archive in entry.archives:
            kind, _, value = archive.checksum.partition(":")
            assert len(value) == {"md5": 32, "sha256": 64}[kind]
        assert sum(archive.size for archive in entry.archives) <= entry.largest
