"""`samovar demo`: a real function on a real picture, deployed and invoked through boto3."""

from samovar.doors.cli.demo.command import demo

__all__ = ["demo"]
