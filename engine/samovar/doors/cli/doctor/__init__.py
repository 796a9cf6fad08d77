"""`samovar doctor`: what works on this host, tried and not guessed.

`trial` starts an engine and runs functions in it, `inside` says what these found, `host`, `kernel`,
`disk` and `cgroups` look at what is around them, and `command` shows it all.
"""

from samovar.doors.cli.doctor.command import doctor

__all__ = ["doctor"]
