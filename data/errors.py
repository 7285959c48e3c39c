"""The error for what a user gave and can mend."""


class InputError(ValueError):
    """Something the user gave cannot be used: a file, a name, an option.

    The message is one complete line: what was wrong, what was received, what to do instead. Commands print it
    and exit with 2; for one file among many it becomes that file's error row.
    """
