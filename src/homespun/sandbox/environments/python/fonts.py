"""Gives Matplotlib the list of fonts that came with the packages, where it looks for its own."""

import os

LIST = "/deps/packages/.matplotlib"


def give() -> None:
    """Copies it, if there is one, to where a program may write: Matplotlib takes no other place."""
    place = os.environ.get("MPLCONFIGDIR")
    if not place or os.path.exists(place) or not os.path.isdir(LIST):
        return
    os.mkdir(place)
    for name in os.listdir(LIST):
        with open(os.path.join(LIST, name), "rb") as shipped, open(os.path.join(place, name), "wb") as copy:
            copy.write(shipped.read())
