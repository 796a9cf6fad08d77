"""Says what came in, and sends back what is asked for."""


def handler(event, context):
    size = event.get("size") if isinstance(event, dict) else None
    if size is not None:
        return "x" * size
    print("seen")
    return {
        "event": event,
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "version": context.function_version,
    }
