"""One file for the records of a study: the same bytes back, and nothing of a hostile one."""

import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.runs import archive, archive_file
from sib.runs.archive import archive_of, archived_study, overlaid, read_record, restore
from sib.runs.archive_file import read_archive, write_archive
from sib.utils.errors import InputError

RECORDS = {
    "study.json": b"{}",
    "front.png": b"\x89PNG",
    "runs/ce-0/config.yaml": b"data: x\n",
    "runs/ce-0/result.json": b'{"a": 1}',
    "runs/ce-0/validation/evaluation.csv": b"a,b\n",
    "runs/sib-background_weight=1000.0-0/config.yaml": b"data: y\n",
}


def hostile(path, name, content=b"x", kind=tarfile.REGTYPE, **more):
    """An archive of one member that `write_archive` would not write."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.type, member.size = kind, len(content)
        for key, value in more.items():
            setattr(member, key, value)
        tar.addfile(member, io.BytesIO(content))
    path.write_bytes(lzma.compress(plain.getvalue()))
    return path


names = st.sampled_from(sorted(RECORDS))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=2000)))
def test_what_was_written_is_read_and_the_bytes_do_not_depend_on_the_order(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder / "a.tar.xz", found)
    assert dict(read_archive(folder / "a.tar.xz")) == found
    write_archive(folder / "b.tar.xz", dict(reversed(found.items())))
    assert (folder / "a.tar.xz").read_bytes() == (folder / "b.tar.xz").read_bytes()


def test_other_programs_can_read_it_and_find_no_time_and_no_owner(tmp_path):
    write_archive(tmp_path / "a.tar.xz", RECORDS)
    with tarfile.open(tmp_path / "a.tar.xz") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == sorted(RECORDS)
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
        assert {m.name: tar.extractfile(m).read() for m in members} == RECORDS


@pytest.mark.parametrize(
    "name",
    [
        "../study.json",
        "/study.json",
        "runs/../study.json",
        "runs/ce-0/../../x.json",
        "runs/./x.json",
        "runs/ce-0/best.safetensors",
        "runs/ce-0/.lock",
        "runs/ce-0/explanations/a.png",
        "other.json",
        "runs/ce-0/a\nb.json",
    ],
)
def test_any_other_name_is_refused_in_reading_and_in_writing(tmp_path, name):
    with pytest.raises(InputError, match="is not a record of a study"):
        list(read_archive(hostile(tmp_path / "a.tar.xz", name)))
    with pytest.raises(InputError, match="is not a record of a study"):
        write_archive(tmp_path / "b.tar.xz", {name: b""})
    assert not (tmp_path / "b.tar.xz").exists()


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.CHRTYPE,
        tarfile.XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_links_devices_and_extended_headers_are_refused(tmp_path, kind):
    path = hostile(tmp_path / "a.tar.xz", "study.json", b"", kind, linkname="/etc/passwd")
    with pytest.raises(InputError, match="is not a plain file"):
        list(read_archive(path))


def test_each_limit_is_kept(tmp_path, monkeypatch):
    write_archive(tmp_path / "a.tar.xz", RECORDS)
    monkeypatch.setattr(archive_file, "LARGEST_RECORD", 7)
    with pytest.raises(InputError, match="has more than 7 bytes"):
        list(read_archive(tmp_path / "a.tar.xz"))
    monkeypatch.setattr(archive_file, "LARGEST_RECORD", 1000)
    monkeypatch.setattr(archive_file, "MOST_RECORDS", 3)
    with pytest.raises(InputError, match="too many files"):
        list(read_archive(tmp_path / "a.tar.xz"))
    monkeypatch.setattr(archive_file, "LARGEST_ARCHIVE", 2000)
    with pytest.raises(InputError, match="unpacks to more than 2000 bytes"):
        list(read_archive(tmp_path / "a.tar.xz"))
    with pytest.raises(InputError, match="at most 3 and 2000 are allowed"):
        write_archive(tmp_path / "a.tar.xz", RECORDS)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_file, "LARGEST_ARCHIVE", 2**20)
    bomb = hostile(tmp_path / "a.tar.xz", "study.json", b"\0" * 2**25)
    assert bomb.stat().st_size < 2**14
    with pytest.raises(InputError, match="unpacks to more than 1048576 bytes"):
        list(read_archive(bomb))


def test_a_window_that_takes_more_memory_than_allowed_is_refused(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**28}]
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(b"\0" * 1024, filters=filters))
    with pytest.raises(InputError, match="is damaged or cut off: Memory usage limit exceeded"):
        list(read_archive(tmp_path / "a.tar.xz"))


def test_a_member_twice_is_refused(tmp_path):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("study.json"))
        tar.addfile(tarfile.TarInfo("study.json"))
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(plain.getvalue()))
    with pytest.raises(InputError, match=r"holds study\.json twice"):
        list(read_archive(tmp_path / "a.tar.xz"))


def test_every_cut_and_every_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "a.tar.xz"
    write_archive(path, RECORDS)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            list(read_archive(path))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(InputError):
            list(read_archive(path))


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("front.png"))
        tar.addfile(tarfile.TarInfo("study.json"))
    damaged = bytearray(plain.getvalue())
    damaged[512 + 150] ^= 1  # in the second header's checksum
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(bytes(damaged)))
    with pytest.raises(InputError, match="is damaged or cut off"):
        list(read_archive(tmp_path / "a.tar.xz"))


def test_a_missing_file_and_a_name_that_is_too_long_are_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(read_archive(tmp_path / "none.tar.xz"))
    with pytest.raises(InputError, match="its name is too long"):
        write_archive(tmp_path / "a.tar.xz", {f"runs/{'n' * 300}/config.yaml": b""})
    with pytest.raises(InputError, match="cannot be written"):
        write_archive(tmp_path / "none" / "a.tar.xz", RECORDS)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_folder_gets_back_what_it_lacks_and_keeps_its_own_runs(tmp_path):
    folder = tmp_path / "leeds"
    write_archive(archive_of(folder), RECORDS)
    own = folder / "runs" / "ce-0"
    own.mkdir(parents=True)
    (own / "config.yaml").write_bytes(b"mine")  # a run that has been started again
    restore(folder)
    kept = {name: data for name, data in RECORDS.items() if not name.startswith("runs/ce-0/")}
    assert content(folder) == kept | {"runs/ce-0/config.yaml": b"mine"}


def test_restoring_that_was_stopped_is_finished_the_next_time(tmp_path, monkeypatch):
    folder = tmp_path / "leeds"
    write_archive(archive_of(folder), RECORDS)
    calls = []

    def stop(path, data):
        calls.append(path)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "write_whole", stop)
        with pytest.raises(InputError, match="leeds cannot be written: No space left on device"):
            restore(folder)
    assert not list(folder.rglob("config.yaml"))  # no half folder looks like a run
    restore(folder)
    assert content(folder) == RECORDS


def test_without_an_archive_nothing_is_made(tmp_path):
    restore(tmp_path / "leeds")
    assert list(tmp_path.iterdir()) == []


def test_reading_writes_nothing_and_errors_name_the_studys_folder(tmp_path):
    folder = tmp_path / "leeds"
    write_archive(archive_of(folder), RECORDS)
    with pytest.raises(InputError, match=f"^{folder}/runs/ce-0 is odd$"), overlaid(folder) as seen:
        assert content(seen) == RECORDS
        raise InputError(f"{seen}/runs/ce-0 is odd")
    assert not seen.exists() and not folder.exists()


def test_which_archive_holds_a_run(tmp_path, monkeypatch):
    folder = tmp_path / "leeds"
    assert archived_study(folder / "runs" / "ce-0") is None
    write_archive(archive_of(folder), RECORDS)
    assert archived_study(folder / "runs" / "ce-0") == folder
    assert archived_study(tmp_path / "leeds.tar.xz" / "runs" / "ce-0") == folder
    assert archived_study(folder / "other" / "ce-0") is None
    (folder / "runs" / "ce-0").mkdir(parents=True)
    (folder / "runs" / "ce-0" / "config.yaml").write_bytes(b"")
    assert archived_study(folder / "runs" / "ce-0") is None
    monkeypatch.chdir(folder)
    assert archived_study(Path("runs/ce-1")) is None


def test_a_record_comes_from_the_folder_or_else_from_the_archive(tmp_path):
    folder = tmp_path / "leeds"
    write_archive(archive_of(folder), RECORDS)
    assert read_record(folder / "study.json") == b"{}"
    assert read_record(folder / "runs" / "ce-0" / "result.json") == b'{"a": 1}'
    folder.mkdir()
    (folder / "study.json").write_bytes(b"newer")
    assert read_record(folder / "study.json") == b"newer"
    with pytest.raises(InputError, match="does not exist, and no archive beside its folder"):
        read_record(folder / "runs" / "ce-1" / "result.json")
