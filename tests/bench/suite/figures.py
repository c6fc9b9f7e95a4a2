# SPDX-License-Identifier: Apache-2.0
"""What pd-bench measured, read back."""

from dataclasses import dataclass
from statistics import median, quantiles


@dataclass
class Figure:
    """A case's rounds: microseconds, requests and faults of one operation; what was lost in all.

    run: what it was measured in; the cases of one run had their turns in the same rounds.
    late: of each round, how much later than at best it was heard of what came, in microseconds.
    """

    run: str
    us: list
    requests: float
    faults: float
    lost: int
    late: list

    @property
    def median(self):
        """Microseconds."""
        return median(self.us)

    @property
    def lateness(self):
        """Its median and what 99 of 100 are below, in words."""
        cuts = quantiles(self.late, n=100)
        return f"{cuts[49]:.0f} µs, 99 of 100 at most {cuts[98]:.0f} µs"


@dataclass
class Ratio:
    """Of two cases: what it most likely is, and between what half of them lie at least."""

    value: float
    low: float
    high: float


def ratio(a, b):
    """a beside b: the median of the rounds' ratios and its quartiles, or what the medians and quartiles
    give of cases that did not take turns."""
    if min(len(a.us), len(b.us)) < 3:
        value = a.median / b.median
        return Ratio(value, value, value)
    if a.run == b.run and len(a.us) == len(b.us):
        low, middle, high = quantiles([x / y for x, y in zip(a.us, b.us)], n=4)
        return Ratio(middle, low, high)
    a_cuts, b_cuts = quantiles(a.us, n=4), quantiles(b.us, n=4)
    return Ratio(a.median / b.median, a_cuts[0] / b_cuts[2], a_cuts[2] / b_cuts[0])


def joined(several):
    """The rounds of several processes, one after the other, as those of one: times only."""
    return Figure("joined", [us for figure in several for us in figure.us], 0, 0, 0, [])


def differences(a, b):
    """Of two cases that took turns, round by round, in microseconds."""
    assert a.run == b.run
    return [x - y for x, y in zip(a.us, b.us)]


def _late(turns):
    """The driver's clock may be another, so what is known is how much more it was than the least."""
    late = [turn[5] for turn in turns if len(turn) > 5 and turn[5]]
    return [(ns - min(late)) / 1000 for ns in late]


def read(path):
    """{case: Figure} of one output of pd-bench."""
    rows = {}
    for line in path.read_text().splitlines():
        name, _round, *numbers = line.split()
        rows.setdefault(name, []).append([int(number) for number in numbers])
    found = {}
    for name, turns in rows.items():
        count = sum(turn[0] for turn in turns)
        found[name] = Figure(str(path), [turn[1] / turn[0] / 1000 for turn in turns],
                             sum(turn[2] for turn in turns) / count, sum(turn[3] for turn in turns) / count,
                             sum(turn[4] for turn in turns), _late(turns))
    return found
