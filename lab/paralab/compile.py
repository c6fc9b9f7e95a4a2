# SPDX-License-Identifier: Apache-2.0
"""Programs that need libraries of the lab's tree: compiled with that tree's own compiler."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from . import enter, tree


def build(source, program, libraries, packages):
    """Compiles one file into a program for VMs whose root has these packages."""
    root = tree.with_packages(packages)
    with tempfile.TemporaryDirectory() as folder:
        argv = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-o", "/build/out",
                f"/source/{source.name}", *libraries]
        binds = [(folder, "/build"), (str(source.parent), "/source")]
        subprocess.run(enter.argv_for(root, argv, binds, overlay=True), check=True, cwd="/")
        shutil.copy2(Path(folder, "out"), program)
