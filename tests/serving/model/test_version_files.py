"""What may be in a version's directory, and the ways in which tools put it there."""

import os
import shutil
import socket
import time

import pytest

from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model import version_files
from kfp_tabular.serving.model.version_check import VersionCheck
from kfp_tabular.serving.model.version_files import list_files


@pytest.fixture
def version(tmp_path, model_directory):
    shutil.copytree(model_directory("binary"), tmp_path / "fraud" / "8")
    return tmp_path / "fraud" / "8"


def check(directory, digests="check", max_model_mib=4096):
    return VersionCheck(max_model_mib, digests).check(directory, time.monotonic() + 60)


def pipe(version):
    os.mkfifo(version / "variables" / "pipe")


def pipe_as_the_model(version):
    (version / "saved_model.pb").unlink()
    os.mkfifo(version / "saved_model.pb")


def a_socket(version):
    (version / "variables").rename(version.parent / "v")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(version)
        listening.bind("variables")
        os.chdir(here)


def device(version):
    (version / "model.json").unlink()
    (version / "model.json").symlink_to("/dev/zero")


def link_to_itself(version):
    (version / "again").symlink_to(".")
    (version / "more").symlink_to(".")


def link_above(version):
    (version / "all").symlink_to("../..")


def links_to_each_other(version):
    (version / "a").mkdir()
    (version / "a" / "b").symlink_to("../variables")


def endless_link(version):
    (version / "loop").symlink_to("loop")


def dead_link(version):
    (version / "gone").symlink_to("nowhere")


def secret_file(version):
    (version / "assets" / "secret").symlink_to("/etc/passwd")


def other_version(version):
    shutil.copytree(version, version.parent / "7")
    shutil.rmtree(version / "variables")
    (version / "variables").symlink_to("../7/variables")


def many_files(version):
    for number in range(version_files.MOST_FILES + 1):
        (version / f"f{number}").touch()


HOSTILE = {
    pipe: "variables/pipe: a named pipe",
    pipe_as_the_model: "saved_model.pb: a named pipe",
    a_socket: "variables: a socket",
    device: "model.json: a link that leaves the version",
    link_to_itself: "again: a link to a directory that is listed already",
    link_above: "all: a link that leaves the version",
    links_to_each_other: "a link to a directory that is listed already",
    endless_link: "loop: a link that leads nowhere",
    dead_link: "gone: a link that leads nowhere",
    secret_file: "assets/secret: a link that leaves the version",
    other_version: "variables: a link that leaves the version",
    many_files: "more than 10000 ",
}


@pytest.mark.parametrize("harm", HOSTILE, ids=lambda harm: harm.__name__)
def test_a_hostile_version_is_refused_and_accepted_when_it_was_mended(version, harm):
    before = list_files(version).fingerprint
    copy = version.parent / "copy"
    shutil.copytree(version, copy)
    (version / "assets").mkdir(exist_ok=True)
    harm(version)
    with pytest.raises(UserError, match=HOSTILE[harm]):
        check(version)
    assert list_files(version).fingerprint != before
    shutil.rmtree(version)
    copy.rename(version)
    assert check(version).startswith("sha256:")


def as_kubernetes_mounts(version, mount):
    """A ConfigMap or Secret: the content is in a directory that a link leads to."""
    mount.mkdir(parents=True)
    shutil.copytree(version, mount / "..2026_11_29")
    (mount / "..data").symlink_to("..2026_11_29")
    for entry in version.iterdir():
        (mount / entry.name).symlink_to(f"..data/{entry.name}")


def as_git_sync_links(version, mount):
    mount.parent.mkdir(parents=True)
    shutil.copytree(version, mount.parent / "rev-1" / "model")
    mount.symlink_to("rev-1/model")


def as_kserve_links_a_volume(version, mount):
    """The storage initializer links the entries of a directory on a mounted volume."""
    mount.mkdir(parents=True)
    for entry in version.iterdir():
        (mount / entry.name).symlink_to(entry)


def as_a_synced_tree(version, mount):
    """`aws s3 sync` and rclone leave other files, and none of the empty directories."""
    shutil.copytree(version, mount)
    (mount / "SUCCESS.TXT").touch()
    (mount / ".rclone").mkdir()
    os.mkfifo(mount / ".rclone" / "lock")
    for empty in ("assets", "assets.extra"):
        if (mount / empty).is_dir() and not [*(mount / empty).iterdir()]:
            (mount / empty).rmdir()


@pytest.mark.parametrize(
    "mounted",
    [as_kubernetes_mounts, as_git_sync_links, as_kserve_links_a_volume, as_a_synced_tree],
)
def test_versions_are_accepted_as_tools_put_them_in_place(version, tmp_path, mounted):
    mount = tmp_path / "mnt" / "models"
    mounted(version, mount)
    (version / "_lineage.json").unlink(missing_ok=True)
    digest = check(mount)
    assert mounted is as_a_synced_tree or digest == check(version)
    assert {file.name for file in list_files(mount).files} >= {
        "saved_model.pb",
        "model.json",
        "variables/variables.index",
    }


def test_the_digest_is_that_of_the_lineage(version):
    assert check(version) == lineage.digest(version)


def test_a_changed_missing_or_added_file_is_named(version):
    whole = version.parent / "whole"
    shutil.copytree(version, whole)

    def refused(words):
        with pytest.raises(UserError, match=words):
            check(version)
        shutil.rmtree(version)
        shutil.copytree(whole, version)

    data = next((version / "variables").glob("variables.data*"))
    data.write_bytes(data.read_bytes()[:-1] + b"\xff")
    refused(rf"variables/{data.name}: its SHA-256 is not the one in _digests.json.*--digests off")
    (version / "schema.pbtxt").unlink()
    refused("schema.pbtxt: missing; _digests.json lists it")
    (version / "variables" / "variables.more").touch()
    refused("variables/variables.more: not in _digests.json")
    (version / "_digests.json").write_text("{}")
    refused("_digests.json: not a list of digests")
    (version / "model.json").write_text((version / "model.json").read_text() + " ")
    assert check(version, digests="off") == ""
    (version / "README").touch()
    refused("model.json: its SHA-256")


def test_a_model_of_an_earlier_release_is_checked_by_its_lineage(version):
    (version / "_digests.json").unlink()
    lineage.record(version, inputs={})
    check(version, digests="require")
    (version / "model.json").write_text((version / "model.json").read_text() + " ")
    with pytest.raises(UserError, match=r"_lineage.json records sha256:.*--digests off"):
        check(version)


def test_a_version_without_digests_is_served_with_a_warning_or_refused(version, caplog):
    (version / "_digests.json").unlink()
    check(version)
    assert caplog.text.count("not verified, since it holds no digests") == 1
    assert len(caplog.records) == 1
    with pytest.raises(UserError, match="--digests is require"):
        check(version, digests="require")


@pytest.mark.parametrize("name", ["model.json", "schema.pbtxt", "saved_model.pb", "huge"])
def test_huge_files_are_refused_before_they_are_read(version, name):
    with (version / name).open("ab") as stream:
        stream.truncate(2**42)
    begin = time.monotonic()
    with pytest.raises(UserError, match="--max-model-mib allows 4096"):
        check(version)
    if name != "huge":
        with pytest.raises(UserError, match=rf"{name}: \d+ MiB; at most \d+ are read"):
            check(version, max_model_mib=2**30)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("name", ["/etc/passwd", "../../7/assets/vocabulary", "a/../../b"])
def test_an_asset_outside_of_the_version_is_refused(version, name):
    from tensorflow.core.protobuf import saved_model_pb2

    document = saved_model_pb2.SavedModel()
    document.ParseFromString((version / "saved_model.pb").read_bytes())
    document.meta_graphs[0].asset_file_def.add(filename=name)
    (version / "saved_model.pb").write_bytes(document.SerializeToString())
    file_digests.write(version)
    with pytest.raises(UserError, match="its asset .* is not below the version"):
        check(version)


def test_reading_a_version_has_a_time_limit(version):
    with pytest.raises(UserError, match="reading it took too long"):
        VersionCheck(4096, "check").check(version, time.monotonic() - 1)
