"""A simulated office PC: the same events every time for the same seed, no PC needed.

The demo shows them as *simulated* PCs, the benchmarks and tests measure with them, and the shipped zstd
dictionary was trained on them. All people, companies and files are invented and say so by their names.
"""

from securepc.agent.simulate.office import USERS, office_day, office_now

__all__ = ["USERS", "office_day", "office_now"]
