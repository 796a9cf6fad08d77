"""One worker process seen from the engine: lifecycle, zygote, wires, output, limits."""
