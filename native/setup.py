"""Needs a C compiler and the headers of Python and OpenSSL 3 (Debian: gcc python3-dev libssl-dev)."""

from setuptools import Extension, setup

setup(
    py_modules=[],
    ext_modules=[
        Extension(
            "securepc_hashes",
            ["hashes.c"],
            libraries=["crypto"],
            py_limited_api=True,
            extra_compile_args=["-O2", "-Wall", "-Wextra", "-Werror"],
        )
    ],
)
