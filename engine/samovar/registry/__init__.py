"""Functions, their code packages and the interpreters that run them."""
