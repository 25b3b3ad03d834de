"""The lab's machine: a real kernel under emulation, driven from tests: docs/lab.md."""

from labvm.channel import Failed, Result
from labvm.image import Image
from labvm.machine import Machine

__all__ = ["Failed", "Image", "Machine", "Result"]
