"""`samovar demo`: an upload to S3, and what a real function makes of it; cold and warm calls."""

from samovar.doors.cli.demo.command import demo

__all__ = ["demo"]
