# SPDX-License-Identifier: Apache-2.0
"""The kernel's checkpatch.pl, out of Debian's linux-source package; prints its path."""

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paralab import apt, cache  # pylint: disable=wrong-import-position
from paralab.errors import LabError  # pylint: disable=wrong-import-position
from paralab.say import say  # pylint: disable=wrong-import-position

SOURCE = "linux-source-6.1"
FILES = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")


def path():
    """The cached script."""
    return cache.item(f"checkpatch-{cache.key(SOURCE, FILES)}", _make) / "checkpatch.pl"


def _make(folder):
    archive = apt.Archive("bookworm")
    archive.update()
    say(f"fetching checkpatch out of {SOURCE}")
    Path(folder).mkdir()
    archive.download([SOURCE], folder)
    deb = next(Path(folder).glob("*.deb"))
    members = " ".join(f"{SOURCE}/scripts/{name}" for name in FILES)
    done = subprocess.run(
        ["sh", "-c", f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./usr/src/{SOURCE}.tar.xz"
                     f" | tar -xJ -C {folder} --strip-components=2 {members}"],
        capture_output=True, text=True, check=False)
    deb.unlink()
    if done.returncode or not (Path(folder) / FILES[0]).exists():
        raise LabError(f"cannot take checkpatch out of {SOURCE}: {done.stderr.strip()}")


if __name__ == "__main__":
    try:
        print(path())
    except LabError as error:
        sys.exit(f"lab: {error}")
