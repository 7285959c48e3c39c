"""The error for what a user gave and can mend."""


class InputError(ValueError):
    """Something the user gave cannot be used: a file, a name, an option.

    The message is one complete line: what was wrong, what was received, what to do instead. Commands print it
    and exit with 2; for one file among many it becomes that file's error row.
    """


class NoMemory(InputError):
    """What it takes is more memory than there is."""


def in_one_line(error: BaseException, most: int = 200) -> str:
    """What an error says, as part of a line: without breaks, cut after `most` characters, its kind where it is mute."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= most else f"{text[:most]}..."
