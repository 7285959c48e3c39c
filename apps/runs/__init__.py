"""Run folders: what is recorded, opened, continued."""
