import asyncio
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.model.large_requests import LargeRequests
from kfp_tabular.serving.model.loaded_version import VersionLoader
from kfp_tabular.serving.model.model_repository import ModelVersion, find_model_source
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.model.version_reload import VersionReloader, choose_version, load_first
from kfp_tabular.serving.settings.server_settings import BatchSettings, ValuePolicies


def version(number, content="a"):
    return ModelVersion(Path(f"/m/{number}"), str(number), frozenset({(content, 1, 1)}))


def seen(*versions):
    return {found.version: found.fingerprint for found in versions}


@pytest.mark.parametrize(
    ("found", "before", "broken", "wanted"),
    [
        ([version(1)], seen(version(1)), [], None),
        ([version(2), version(1)], seen(version(1)), [], None),
        ([version(2), version(1)], seen(version(2), version(1)), [], version(2)),
        ([version(2, "b"), version(1)], seen(version(2), version(1)), [], None),
        ([version(2), version(1)], seen(version(2), version(1)), [version(2)], None),
        (
            [version(2, "b"), version(1)],
            seen(version(2, "b"), version(1)),
            [version(2)],
            version(2, "b"),
        ),
        (
            [version(3), version(2), version(1)],
            seen(version(3), version(2), version(1)),
            [version(3)],
            version(2),
        ),
        ([version(1, "b")], seen(version(1)), [], None),
        ([version(1, "b")], seen(version(1, "b")), [], version(1, "b")),
        (
            [version(1, "b"), version(0)],
            seen(version(1, "b"), version(0)),
            [version(1, "b")],
            None,
        ),
        ([version(0)], seen(version(1), version(0)), [], None),
        ([version(0)], seen(version(0)), [], version(0)),
        ([], seen(version(1)), [], None),
        ([], {}, [], None),
    ],
    ids=[
        "nothing new",
        "a new one may still be written",
        "a new one has settled",
        "a new one is being written",
        "a broken one is left alone",
        "a broken one was repaired",
        "the best that is not broken",
        "the current one is being replaced",
        "the current one was replaced",
        "the current one was replaced by a broken one",
        "the current one has just gone",
        "the current one stays gone",
        "nothing is left",
        "nothing has been left for a while",
    ],
)
def test_which_version_to_switch_to(found, before, broken, wanted):
    assert choose_version(found, before, version(1), set(broken)) == wanted


@pytest.fixture
def repository(tmp_path, model_directory):
    shutil.copytree(model_directory("regression"), tmp_path / "fraud" / "1")
    return tmp_path / "fraud"


@pytest.fixture
def loader():
    with ThreadPoolExecutor(2) as executor:
        yield VersionLoader(executor, BatchSettings(), 2, lambda rows, requests: None)


@pytest.fixture
def reloader(repository, loader):
    metrics = Metrics(CollectorRegistry())
    source = find_model_source(repository)
    model = ServedModel("fraud", ValuePolicies(), loader.executor, metrics)
    found, release, broken = load_first(source, loader, metrics)
    model.switch_to(release)
    return VersionReloader(model, source, loader, loader.executor, metrics, found, set(broken))


def test_the_highest_version_that_can_be_loaded_is_served(repository, loader, caplog):
    for number in (2, 3):
        shutil.copytree(repository / "1", repository / str(number))
    (repository / "3" / "saved_model.pb").write_bytes(b"cut off")
    found, release, broken = load_first(
        find_model_source(repository), loader, Metrics(CollectorRegistry())
    )
    assert (found.version, release.version) == ("2", "2")
    assert [one.version for one in broken] == ["3"]
    assert "serving version 2, because a higher one failed to load: " in caplog.text


def test_if_no_version_loads_the_error_is_that_of_the_highest(repository, loader):
    shutil.copytree(repository / "1", repository / "2")
    for number in (1, 2):
        (repository / str(number) / "model.json").unlink()
    with pytest.raises(UserError, match=r"/2/model\.json: not found"):
        load_first(find_model_source(repository), loader, Metrics(CollectorRegistry()))


def test_a_request_ends_with_the_version_it_started_with(repository, reloader):
    async def run():
        old = reloader.model.current_version()
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def slow(tensors, rows):
            begun.set()
            await may_end.wait()
            return {"prediction": np.zeros(rows, np.float32)}

        old.batcher.predict = slow
        asked = asyncio.create_task(
            reloader.model.predict(
                "v1",
                LargeRequests(2**20).hold(),
                1,
                lambda interface: (
                    {"amount": np.zeros(1, np.float32)}
                    | {
                        item.input: np.zeros(1, object if item.dtype == "string" else np.float32)
                        for item in interface.spec.inputs
                    }
                ),
                lambda release, outputs: (release.version, len(outputs["prediction"])),
            )
        )
        await begun.wait()
        shutil.copytree(repository / "1", repository / "2")
        await reloader.look()
        change = asyncio.create_task(reloader.look())
        while reloader.model.current_version().version != "2":
            await asyncio.sleep(0.01)
        assert not change.done()
        may_end.set()
        await change
        return await asked, old.requests

    assert asyncio.run(run()) == (("1", 1), 0)


def test_nothing_keeps_a_replaced_model_in_memory(repository, reloader):
    async def run():
        gone = []
        for number in range(2, 7):
            # A variable or table that is still referenced would keep the loaded object alive.
            gone.append(weakref.ref(reloader.model.current_version().predictor._loaded))
            (repository / str(number - 1)).rename(repository / str(number))
            while reloader.model.current_version().version != str(number):
                await reloader.look()
        return gone

    assert [model() for model in asyncio.run(run())] == [None] * 5
