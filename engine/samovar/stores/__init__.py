"""Where things are kept: protocols, and what implements them."""
