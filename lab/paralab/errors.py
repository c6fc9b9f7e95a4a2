# SPDX-License-Identifier: Apache-2.0
"""The lab's own failures, apart from those of the command it runs."""

EXIT_TIMEOUT = 124
EXIT_LAB = 125
EXIT_KERNEL_LOG = 126


class LabError(Exception):
    """The lab could not do its part. The message says what and what to do."""


class LabTimeout(LabError):
    """The overall time limit passed."""
