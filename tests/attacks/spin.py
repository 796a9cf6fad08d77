"""Never return, in Python."""


def handler(event, context):
    while True:
        pass
