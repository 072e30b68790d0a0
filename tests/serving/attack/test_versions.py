"""Hostile model versions in the repository of a running server: refused by name, never served."""

import json
import os
import re
import shutil

from kfp_tabular.components.common.artifacts import file_digests
from tests.serving.attack.served import READY, wait_until


def pipe(version):
    (version / "saved_model.pb").unlink()
    os.mkfifo(version / "saved_model.pb")


def links(version):
    (version / "a").symlink_to(".")
    (version / "b").symlink_to(".")


def endless(version):
    (version / "variables" / "more").symlink_to("/dev/zero")


def outside(version):
    (version / "assets").mkdir(exist_ok=True)
    (version / "assets" / "x").symlink_to("/etc/passwd")


def sparse(version):
    with (version / "saved_model.pb").open("ab") as stream:
        stream.truncate(2**43)


def description(version):
    (version / "model.json").write_text("[" * 100_000)
    file_digests.write(version)


def widths(version):
    file = version / "model.json"
    document = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(document | {"task": "multiclass", "classes": ["a", "b", "c"]}))
    file_digests.write(version)


def damaged(version):
    data = next((version / "variables").glob("variables.data*"))
    data.write_bytes(b"\xff" * data.stat().st_size)


HOSTILE = {
    pipe: "saved_model.pb: a named pipe",
    links: "a: a link to a directory that is listed already",
    endless: "variables/more: a link that leaves the version",
    outside: "assets/x: a link that leaves the version",
    sparse: "--max-model-mib allows 4096",
    description: "not a model description: RecursionError",
    widths: "lists 3 classes",
    damaged: "its SHA-256 is not the one in _digests.json",
}


def test_hostile_versions_are_refused_and_the_next_good_one_comes(attacked, repository):
    server = attacked("--reload-seconds", 0.5, "--grpc-port", "off")
    good = repository / "7"
    makeup = repository.parent / "makeup"
    with server.probing(READY) as prober, server.good_load() as load:
        for number, harm in enumerate(HOSTILE, start=10):
            shutil.copytree(good, makeup)
            harm(makeup)
            makeup.rename(repository / str(number))
        for number, words in enumerate(HOSTILE.values(), start=10):
            found = (
                rf"version {number} failed to load, still serving version 7: .*{re.escape(words)}"
            )
            wait_until(lambda found=found: re.search(found, server.log), found, 60)
        (repository / "10" / "saved_model.pb").unlink()
        shutil.copy(good / "saved_model.pb", repository / "10" / "saved_model.pb")
        wait_until(lambda: "serving version 10 instead of 7" in server.log, "the mended one", 60)
        shutil.copytree(good, repository / "30")
        wait_until(lambda: "serving version 30 instead of 10" in server.log, "the good one", 60)
    assert prober.failures == []
    assert prober.longest < 10
    # Right answers, with another version's name.
    assert [one for one in load.failures if not one.startswith("200 {'predictions'")] == []
    assert server.log.count("failed to load") == len(HOSTILE)
    failures = server.metric("kfp_tabular_model_loads_total", outcome="failure")
    assert failures == len(HOSTILE)
    server.process.stop()
    for number in (*range(10, 10 + len(HOSTILE)), 30):
        shutil.rmtree(repository / str(number))


def test_a_server_starts_with_the_highest_version_that_is_not_hostile(attacked, repository):
    for number, harm in enumerate((pipe, links), start=10):
        shutil.copytree(repository / "7", repository / str(number))
        harm(repository / str(number))
    server = attacked("--grpc-port", "off")
    with server.good_load() as load:
        wait_until(lambda: load.answered > 5, "good load")
    assert load.failures == []
    assert server.log.count("serving version 7, because a higher one failed to load") == 2
    server.process.stop()
