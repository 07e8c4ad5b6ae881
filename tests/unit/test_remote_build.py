"""Databases built on a Ray cluster: the same bytes as in one process, whatever is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image

ray = pytest.importorskip("ray", reason="Ray, of the extra `scale`, is not installed")

from core.patches.building import plan as planning  # noqa: E402
from core.patches.building import sources  # noqa: E402
from core.patches.building.build import build, build_database  # noqa: E402
from core.patches.building.executor import Died, Done, ModelChoice  # noqa: E402
from core.patches.remote.actors import pool as pool_module  # noqa: E402
from core.patches.remote.actors.pool import RayPool  # noqa: E402
from core.types import ConfigError  # noqa: E402
from tests.clusters import cluster_of, described  # noqa: E402
from tests.plain_backend import MAGENTA  # noqa: E402
from tests.unit.test_build import BACKEND, bytes_of, colours  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of files that it leaves open


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with cluster_of(1) as made:
        yield made


class Watched(RayPool):
    """Kills something when a part is done for the first time, while another one is being made."""

    def __init__(self, model: str, cluster: Any, node: Any = None) -> None:
        super().__init__(ModelChoice(f"tests.plain_backend:{model}"), 2, cluster.address)
        self.died: list[int] = []
        self._cluster, self._node, self._left = cluster, node, 1

    def outcome(self, seconds: float) -> Done | Died | None:
        found = super().outcome(seconds)
        if isinstance(found, Done) and found.number >= 0 and self._busy and self._left:
            self._left = 0
            if self._node is None:
                ray.kill(next(iter(self._busy.values()))[1])
            else:
                self._cluster.remove_node(self._node, allow_graceful=False)
        if isinstance(found, Died):
            self.died.append(found.number)
        return found


def test_actors_and_a_node_are_killed_and_the_bytes_are_the_same(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (planning, sources):
        monkeypatch.setattr(module, "SPAN", 8)
    images = colours(tmp_path / "images", 60)
    build_database(BACKEND, images, tmp_path / "here")
    one = Watched("plain", cluster)
    report = build(one, images, tmp_path / "killed").report
    assert (report.taken, report.skipped_files) == (60, [])
    assert one.died
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "here")
    node = cluster.add_node(**described())
    cluster.wait_for_nodes()
    two = Watched("plain", cluster, node)
    assert build(two, images, tmp_path / "node").report.taken == 60
    assert bytes_of(tmp_path / "node") == bytes_of(tmp_path / "here")


def test_a_picture_that_kills_its_actor_is_given_up_and_listed(cluster: Any, tmp_path: Path) -> None:
    images = colours(tmp_path / "images", 20)
    Image.new("RGB", (40, 40), MAGENTA).save(images / "bad.png")
    pool = Watched("mortal", cluster)
    report = build(pool, images, tmp_path / "made").report
    assert report.taken == 20
    assert [each["name"] for each in report.skipped_files] == ["bad.png"]
    assert len(pool.died) >= 3


class Dying(RayPool):
    """Its first actors end while they load the model."""

    def __init__(self, deaths: int) -> None:
        super().__init__(ModelChoice("mine"), 1)
        self.started, self._deaths = 0, deaths

    def _started(self) -> Any:
        self.started += 1
        return Mock()

    def outcome(self, seconds: float) -> Done | Died | None:
        ((number, _),) = self._busy.values()
        self._busy.clear()
        return Died(number, "its node is gone") if self.started <= self._deaths else Done(number)


def test_an_actor_that_ends_while_it_loads_the_model_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "connect", lambda address: None)
    for deaths, actors in ((0, 1), (2, 3)):
        pool = Dying(deaths)
        pool.prepare(tmp_path)
        assert pool.started == actors
    with pytest.raises(ConfigError, match="backend mine: 3 actors ended while they loaded it, the last: its node is"):
        Dying(3).prepare(tmp_path)


def test_a_model_that_cannot_be_loaded_is_told(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        build(
            RayPool(ModelChoice("tests.nothing:none"), 1, cluster.address),
            colours(tmp_path / "images", 2),
            tmp_path / "made",
        )
