"""What the machine itself gives: the least that any engine of this shape could cost."""
