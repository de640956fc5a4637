# SPDX-License-Identifier: Apache-2.0
"""The version of this package: that of the library it was written for."""

VERSION = "0.1.0"
