# SPDX-License-Identifier: Apache-2.0
"""The lab: virtual machines that stand for a user's host and guests."""
