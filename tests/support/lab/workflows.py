"""Canvas: each function sends one workflow and answers the ids it knows, the last task first."""

from celery import chain, chord, group

from lab.tasks import add, fail, need, note, total


def ids(result):
    """A result, its parents, and the members of groups."""
    found = []
    while result is not None:
        members = getattr(result, "results", None)
        found += [member.id for member in members] if members else [result.id]
        result = result.parent
    return found


def linked():
    return ids(chain(add.s(1, 2), add.s(3), add.s(4)).apply_async())


def fan_out():
    return ids(group(add.s(n, n) for n in range(3)).apply_async())


def joined():
    return ids(chord([add.s(n, n) for n in range(3)], total.s()).apply_async())


def broken_chord():
    return ids(chord([add.s(1, 1), fail.s()], total.s()).apply_async())


def interrupted(path):
    """A chain whose first task fails until a file is there."""
    return ids(chain(need.s(path), add.si(1, 2)).apply_async())


def answered(path, well, badly):
    """A task that fails until a file is there, with one to call then and one to call before."""
    links = {"link": note.si(well), "link_error": note.si(badly)}
    return [need.s(path).apply_async(**links).id]


def fanned_by(path):
    """A group, one member of which fails until a file is there."""
    return ids(group(add.s(1, 1), need.s(path)).apply_async())


def joined_by(path):
    """A chord, one member of which fails until a file is there."""
    return ids(chord([add.s(1, 1), need.s(path)], total.s()).apply_async())


def pickled():
    """Arguments that JSON has no word for, held by a worker for their ETA."""
    from lab.tasks import echo

    return [echo.apply_async(({1, 2},), countdown=3600, serializer="pickle").id]
