"""The version of nunect, for packages, programs and people."""

VERSION = "0.1.0"
