"""What a function's configuration allows its contexts, in the units of the kernel. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.model.function import FunctionVersion

MEGABYTE = 1 << 20
# MB that come with one virtual CPU (AWS, «Configure Lambda function memory»).
_MEMORY_OF_A_CPU = 1769
# Processes and threads of a context (AWS, «Lambda quotas»).
PROCESSES = 1024
# Above MemorySize and /tmp: page tables and other memory of the kernel's on the context's behalf,
# which are charged to it, too. What is still there at the hard limit is ended by the kernel.
_OF_THE_KERNEL = 32 * MEGABYTE

# A CPU's weight: what the kernel gives groups of versions 1 and 2 that nobody has said anything of
# (sched-design-CFS and cgroup-v2 of its documentation), and what can be written there.
_SHARES, _LEAST_SHARES, _MOST_SHARES = 1024, 2, 262_144
_WEIGHT, _LEAST_WEIGHT, _MOST_WEIGHT = 100, 1, 10_000
PERIOD = 100_000  # microseconds, the kernel's default
_LEAST_QUOTA = 1000  # microseconds, the kernel's minimum


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory`: bytes of anonymous memory, MemorySize; `most`: bytes of all, the hard limit;
    `cpus`: virtual CPUs, a fraction."""

    memory: int
    most: int
    cpus: float

    @property
    def memory_mb(self) -> int:
        """MemorySize, as REPORT shows it."""
        return self.memory // MEGABYTE

    @property
    def shares(self) -> int:
        """Version 1's cpu.shares."""
        return min(_MOST_SHARES, max(_LEAST_SHARES, round(_SHARES * self.cpus)))

    @property
    def weight(self) -> int:
        """Version 2's cpu.weight."""
        return min(_MOST_WEIGHT, max(_LEAST_WEIGHT, round(_WEIGHT * self.cpus)))

    @property
    def quota(self) -> int:
        """Microseconds of CPU time in each PERIOD, where weights are not enough."""
        return max(_LEAST_QUOTA, round(PERIOD * self.cpus))


def limits_of(version: FunctionVersion) -> Limits:
    """A tmpfs is charged to whoever writes to it: /tmp stands in the hard limit, not in MemorySize,
    which on AWS does not count it either."""
    configuration = version.configuration
    memory = configuration.memory_size * MEGABYTE
    return Limits(
        memory,
        memory + configuration.ephemeral_storage * MEGABYTE + _OF_THE_KERNEL,
        configuration.memory_size / _MEMORY_OF_A_CPU,
    )


def of_all(cpus: int) -> Limits:
    """For all contexts together: the weight of as many busy processes as the host has CPUs."""
    return Limits(0, 0, float(max(1, cpus)))
