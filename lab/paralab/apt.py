# SPDX-License-Identifier: Apache-2.0
"""Debian's archives: the system's own mirror and keyring, with package lists of the lab's own.

Nothing here touches the system's package state: lists and indexes live in the cache.
"""

import os
import re
import time

from . import cache, paths, tool
from .errors import LabError
from .say import say

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
KERNEL_PART = re.compile(r"linux-(image|modules|binary|base|headers|kbuild)-[0-9]\S*")


def mirrors():
    """(main archive, security archive or None) as the system's apt sources name them."""
    text = tool.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN)",
                     "Created-By: Packages"], "reading apt's sources")
    main = security = None
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or not re.match(r"(https?|file|mirror\S*):", fields[0]):
            continue
        uri, release, origin = fields[0], fields[1], fields[2] if len(fields) > 2 else ""
        if origin not in ("Debian", "", "$(ORIGIN)"):
            continue
        if release.endswith("-security"):
            security = security or uri
        elif re.fullmatch(r"[a-z]+", release) and re.search(r"/debian/?$|/debian/\d{8}T", uri):
            main = main or uri
    if not main:
        raise LabError("no Debian mirror in apt's sources: add one to /etc/apt/sources.list.d")
    return main, security


def sources(suite):
    """The lines of a sources.list for that suite on the system's mirrors."""
    if not os.path.exists(KEYRING):
        raise LabError(f"{KEYRING} is missing: install debian-archive-keyring")
    main, security = mirrors()
    lines = [f"deb [signed-by={KEYRING}] {main} {suite} main"]
    if security and suite != "testing":
        lines.append(f"deb [signed-by={KEYRING}] {security} {suite}-security main")
    return lines


def system_settings():
    """The system's own settings on how to reach and trust a mirror, as lines of an apt.conf."""
    dump = tool.run(["apt-config", "dump"], "reading apt's configuration")
    wanted = re.compile(r'Acquire::(https?::|Check-|(Max|Min)-ValidTime)[^ ]* "[^"]+";')
    return [line for line in dump.splitlines() if wanted.match(line)]


class Archive:
    """One suite's package lists, apart from the system's."""

    def __init__(self, suite):
        self.suite = suite
        self.root = paths.cache() / "apt" / suite
        self.lists = self.root / "lists"

    def options(self):
        """apt options that make it use this archive's lists only."""
        chosen = {
            "Dir::Etc::SourceList": self.root / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State::Lists": self.lists,
            "Dir::State::Status": self.root / "status",
            "Dir::Cache": self.root / "cache",
            "APT::Sandbox::User": "root",
            "APT::Get::List-Cleanup": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return [f"-o{name}={value}" for name, value in chosen.items()]

    def update(self, max_age=3600):
        """Fetches the package lists unless they are younger than max_age seconds."""
        stamp = self.root / "stamp"
        with cache.locked(f"apt-{self.suite}"):
            if stamp.exists() and time.time() - stamp.stat().st_mtime < max_age:
                return
            say(f"reading Debian's package lists ({self.suite})")
            (self.lists / "partial").mkdir(parents=True, exist_ok=True)
            (self.root / "cache").mkdir(exist_ok=True)
            (self.root / "status").touch()
            (self.root / "sources.list").write_text("\n".join(sources(self.suite)) + "\n")
            tool.run(["apt-get", "-qq", *self.options(), "update", "--error-on=any"],
                     f"apt-get update for {self.suite}")
            stamp.touch()

    def fields(self, package):
        """The newest version's control fields of a package, as a dict."""
        text = tool.run(["apt-cache", *self.options(), "show", "--no-all-versions", package],
                        f"looking up {package} in {self.suite}")
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def kernel_parts(self, package):
        """The package and, recursively, the kernel packages that it depends on."""
        seen, todo = [], [package]
        while todo:
            name = todo.pop(0)
            if name in seen:
                continue
            seen.append(name)
            for group in self.fields(name).get("Depends", "").split(","):
                first = group.split("|")[0].split("(")[0].strip()
                if KERNEL_PART.fullmatch(first):
                    todo.append(first)
        return seen

    def download(self, packages, folder):
        """Downloads the .deb files of these packages into the folder."""
        tool.run(["apt-get", "-qq", *self.options(), "download", *packages],
                 f"downloading {' '.join(packages)}", cwd=folder)
