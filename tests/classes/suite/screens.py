# SPDX-License-Identifier: Apache-2.0
"""What the displays of the lab's host show, for steps that ask (tests/classes/screendump)."""

import json
import socket
import threading


class Screens:
    """Answers requests in the shared folder while a class runs."""

    def __init__(self, share):
        self.folder, self.qmp = share / "screen", share / "qmp.sock"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        self._thread.join()

    def _serve(self):
        while not self._stop.wait(0.1):
            for want in self.folder.glob("*.want"):
                device = want.read_text().strip()
                want.unlink()
                name = want.name.removesuffix(".want")
                try:
                    self._dump(device, self.folder / f"{name}.new")
                    (self.folder / f"{name}.new").rename(self.folder / f"{name}.ppm")
                except (OSError, ValueError) as error:
                    (self.folder / f"{name}.failed").write_text(f"{error}\n")

    def _dump(self, device, path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.qmp))
            lines = connection.makefile("rw")
            lines.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "screendump",
                             "arguments": {"device": device, "filename": str(path)}}):
                lines.write(json.dumps(command) + "\n")
                lines.flush()
                while True:
                    reply = json.loads(lines.readline())
                    if "error" in reply:
                        raise ValueError(reply["error"]["desc"])
                    if "return" in reply:
                        break
