"""The HTTP door: the Lambda REST API and the engine's own pages."""
