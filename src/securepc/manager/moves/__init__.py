"""Agencies that move to another manager, and come from one."""
