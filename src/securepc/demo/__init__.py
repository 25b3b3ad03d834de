"""The demo: a manager, this PC's real agent and a few simulated PCs, on loopback, in child processes.

Like `cli` it may import everything, and nothing but `cli` imports it.
"""
