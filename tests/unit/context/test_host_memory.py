"""The room for new contexts, from files as the kernel writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from samovar.context.control_groups import Group
from samovar.context.host_memory import HostMemory, default_reserve, own_group
from samovar.errors import EngineError

MB = 1 << 20
UNLIMITED = 9223372036854771712  # what version 1 says where there is no limit


class Host:
    """A directory with /proc/meminfo and two groups, one within the other, below a mount."""

    def __init__(self, directory: Path, version: int) -> None:
        self.version = version
        self.top = directory / "cgroup"
        self.outer = self.top / "outer"
        self.inner = self.outer / "inner"
        self.inner.mkdir(parents=True)
        self.proc = directory / "meminfo"
        self.meminfo(total=8000, available=6000)
        self.group(self.inner)
        self.group(self.outer)

    def meminfo(self, total: int, available: int) -> None:
        """In MB. Free swap is there to be ignored."""
        lines = ("MemTotal", total), ("MemFree", 7), ("MemAvailable", available), ("SwapFree", 9000)
        text = "".join(f"{name}:{size * 1024:>15} kB\n" for name, size in lines)
        self.proc.write_text(text)

    def group(
        self,
        group: Path,
        *,
        limit: int | None = None,
        high: int | None = None,
        used: int = 0,
        cache: int = 0,
    ) -> None:
        """In MB; `cache` is the part of `used` that the kernel gives back."""

        def written(name: str, text: object) -> None:
            (group / name).write_text(f"{text}\n")

        if self.version == 1:
            written("memory.limit_in_bytes", UNLIMITED if limit is None else limit * MB)
            written("memory.usage_in_bytes", used * MB)
            stat = f"cache 1\ninactive_file 5\ntotal_cache 3\ntotal_inactive_file {cache * MB}"
        else:
            written("memory.max", "max" if limit is None else limit * MB)
            written("memory.high", "max" if high is None else high * MB)
            written("memory.current", used * MB)
            stat = f"anon 1\ninactive_anon 7\ninactive_file {cache * MB}\nactive_file 9"
        written("memory.stat", stat)

    def gauge(self, reserve: int | None = 0) -> HostMemory:
        group = Group(self.version, self.inner, self.top)
        return HostMemory(reserve, meminfo=self.proc, group=group)


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    yield Host(tmp_path, request.param)


def test_without_a_limit_the_host_has_what_is_available_less_the_reserve(host: Host) -> None:
    with closing(host.gauge(reserve=100)) as gauge:
        assert gauge.look() == (5900, "the host")
        host.meminfo(total=8000, available=50)
        assert gauge.look() == (-50, "the host")


def test_the_lowest_of_all_limits_counts_wherever_it_is(host: Host) -> None:
    with closing(host.gauge()) as gauge:
        host.group(host.outer, limit=1000, used=300)
        assert gauge.look() == (700, str(host.outer))
        host.group(host.inner, limit=500, used=100)
        assert gauge.look() == (400, str(host.inner))
        host.group(host.outer, limit=1000, used=900)
        assert gauge.look() == (100, str(host.outer))
        host.meminfo(total=8000, available=20)
        assert gauge.look() == (20, "the host")


def test_page_cache_that_the_kernel_gives_back_is_room(host: Host) -> None:
    host.group(host.inner, limit=500, used=490, cache=400)
    with closing(host.gauge()) as gauge:
        assert gauge.room() == 410
        host.group(host.inner, limit=500, used=490, cache=495)  # read at two moments
        assert gauge.room() == 500


def test_a_limit_beyond_all_memory_is_none(host: Host) -> None:
    host.group(host.inner, limit=8000, used=7999)
    with closing(host.gauge()) as gauge:
        assert gauge.room() == 6000


def test_version_2_slows_a_group_down_at_another_limit_than_it_kills_at(tmp_path: Path) -> None:
    host = Host(tmp_path, 2)
    host.group(host.inner, limit=500, high=300, used=100)
    with closing(host.gauge()) as gauge:
        assert gauge.room() == 200


def test_a_host_without_control_groups_has_what_is_available(host: Host) -> None:
    with closing(HostMemory(0, meminfo=host.proc)) as gauge:
        assert gauge.room() == 6000
    for group in host.outer, host.inner:
        (group / "memory.stat").unlink()  # the controller is not passed on to them
    with closing(host.gauge()) as gauge:
        assert gauge.room() == 6000


@pytest.mark.parametrize(
    ("total", "reserve"), [(512, 64), (1280, 64), (4000, 200), (20480, 1024), (500_000, 1024)]
)
def test_the_reserve_is_a_twentieth_within_bounds(total: int, reserve: int) -> None:
    assert default_reserve(total) == reserve


def test_the_reserve_is_one_of_what_the_groups_allow(host: Host) -> None:
    with closing(host.gauge(None)) as gauge:
        assert gauge.reserve == 400
    host.group(host.outer, limit=2000)
    with closing(host.gauge(None)) as gauge:
        assert (gauge.reserve, gauge.room()) == (100, 1900)


@pytest.mark.parametrize("text", ["", "MemTotal:  100 kB\n"], ids=["empty", "no MemAvailable"])
def test_a_kernel_that_does_not_say_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "meminfo").write_text(text)
    with pytest.raises(EngineError, match="does not say"):
        HostMemory(meminfo=tmp_path / "meminfo")
    with pytest.raises(EngineError, match="No such file"):
        HostMemory(meminfo=tmp_path / "nothing")


def test_this_host_says_what_there_is() -> None:
    with closing(HostMemory(0, group=own_group())) as gauge:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB
        assert 0 < gauge.room() <= total
        gauge.close()  # once more is nothing
