#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What counts as level before and after the load."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from suite import levels  # pylint: disable=wrong-import-position


class Levels(unittest.TestCase):
    """levels.compare() on numbers as tests/load/share/level writes them."""

    def one(self, name, before, after):
        """Is `name` level?"""
        rows = levels.compare({name: before}, {name: after})
        self.assertEqual([row[:3] for row in rows], [(name, before, after)])
        return rows[0][3]

    def test_counts(self):
        """What a guest's module and a daemon hold is level to the number."""
        for name in ("paradice.files", "paradice.pins", "daemon-1.manager.fds", "pinned"):
            self.assertTrue(self.one(name, 3, 3))
            self.assertTrue(self.one(name, 3, 2))
            self.assertFalse(self.one(name, 3, 4), name)

    def test_slack(self):
        """What may grow may do so up to its bound."""
        for name, was, most in (("files", 100, 132), ("processes", 50, 58),
                                ("daemon-1.worker.tasks", 7, 15), ("daemon-2.manager.mappings", 90, 106),
                                ("daemon-1.worker.anon.kB", 1000, 2124), ("SUnreclaim.kB", 20000, 25096)):
            self.assertTrue(self.one(name, was, most), name)
            self.assertFalse(self.one(name, was, most + 1), name)

    def test_missing(self):
        """A name that only one side has is not level, on whichever side it is."""
        self.assertEqual(levels.compare({"pinned": 0}, {"pinned": 0, "daemon-1.worker.fds": 9}),
                         [("pinned", 0, 0, True), ("daemon-1.worker.fds", "none", 9, False)])
        self.assertEqual(levels.compare({"pinned": 0}, {}), [("pinned", 0, "gone", False)])


if __name__ == "__main__":
    unittest.main()
