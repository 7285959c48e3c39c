"""Folders that model servers load, made of proved exports."""
