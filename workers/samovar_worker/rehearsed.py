"""The function of a rehearsal; see samovar_worker.rehearsal."""


def handler(event, context):  # type: ignore[no-untyped-def]
    return event
