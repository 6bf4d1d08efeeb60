from __future__ import annotations

import os

import pytest

from sondage.errors import Forbidden, InvalidInput, NotFound
from worker.data.sources import SourceLimits, resolve_source_path
from worker.data.sources.paths import check_file


@pytest.fixture
def roots(tmp_path):
    for name in ("one", "two", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.npz").write_bytes(b"x")
    return [tmp_path / "one", tmp_path / "two"]


def test_relative_and_absolute_paths_below_a_root_are_found(roots):
    assert resolve_source_path("two.npz", roots=roots) == (roots[1] / "two.npz").resolve()
    assert resolve_source_path(str(roots[0] / "one.npz"), roots=roots) == (roots[0] / "one.npz").resolve()


@pytest.mark.parametrize("path", ["../outside/outside.npz", "/etc/passwd", "/etc/no-such-file", ".."])
def test_paths_outside_are_forbidden_whether_or_not_something_is_there(roots, path):
    with pytest.raises(Forbidden, match="SONDAGE_SOURCE_ROOTS"):
        resolve_source_path(path, roots=roots)


def test_a_link_that_leads_out_is_forbidden_and_one_that_stays_is_followed(roots):
    (roots[0] / "out.npz").symlink_to(roots[0].parent / "outside" / "outside.npz")
    (roots[0] / "in.npz").symlink_to(roots[1] / "two.npz")
    with pytest.raises(Forbidden):
        resolve_source_path("out.npz", roots=roots)
    assert resolve_source_path("in.npz", roots=roots) == (roots[1] / "two.npz").resolve()


def test_a_root_may_be_a_link_itself(roots):
    link = roots[0].parent / "link"
    link.symlink_to(roots[0])
    assert resolve_source_path("one.npz", roots=[link]).name == "one.npz"


def test_a_folder_beside_a_root_with_the_same_beginning_is_outside(roots):
    twin = roots[0].with_name("one-more")
    twin.mkdir()
    with pytest.raises(Forbidden):
        resolve_source_path(str(twin), roots=roots)


def test_without_roots_the_setting_is_named():
    with pytest.raises(Forbidden, match="SONDAGE_SOURCE_ROOTS"):
        resolve_source_path("a.npz", roots=[])


def test_what_is_not_there_or_no_file_is_told(roots):
    with pytest.raises(NotFound, match="nothing at"):
        resolve_source_path("three.npz", roots=roots)
    os.mkfifo(roots[0] / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        resolve_source_path("pipe", roots=roots)
    for path in ("", "a\x00b"):
        with pytest.raises(InvalidInput, match="Name a path"):
            resolve_source_path(path, roots=roots)


def test_paths_that_cannot_be_followed_are_told(roots):
    (roots[0] / "a").symlink_to(roots[0] / "b")
    (roots[0] / "b").symlink_to(roots[0] / "a")
    for path in ("a", "x" * 5000):
        with pytest.raises(InvalidInput, match="cannot be followed"):
            resolve_source_path(path, roots=roots)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path):
    file = tmp_path / "a.npz"
    file.write_bytes(b"x")
    file.chmod(0)
    with pytest.raises(Forbidden, match="permissions"):
        check_file(file, SourceLimits(), kind="npz")


def test_uploads_are_found_by_their_id_alone(tmp_path):
    (tmp_path / "a1").mkdir()
    (tmp_path / "a1" / "data.npz").write_bytes(b"x")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "data.npz").symlink_to("/etc/passwd")
    assert resolve_source_path("upload:a1", roots=[], uploads=tmp_path).name == "data.npz"
    for upload in ("upload:a2", "upload:../a1", "upload:", "upload:.", "upload:link"):
        with pytest.raises(NotFound, match="no upload"):
            resolve_source_path(upload, roots=[], uploads=tmp_path)


def test_files_have_a_size_limit_and_are_not_empty(tmp_path):
    file = tmp_path / "a.npz"
    file.write_bytes(b"12345")
    assert check_file(file, SourceLimits(max_file_bytes=5), kind="npz") == file
    with pytest.raises(InvalidInput, match="5 bytes; at most 4"):
        check_file(file, SourceLimits(max_file_bytes=4), kind="npz")
    file.write_bytes(b"")
    with pytest.raises(InvalidInput, match="is empty"):
        check_file(file, SourceLimits(), kind="npz")
    with pytest.raises(InvalidInput, match="is one file"):
        check_file(tmp_path, SourceLimits(), kind="npz")
