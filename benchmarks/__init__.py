"""What Samovar promises about speed and size, measured beside floors and peers: see README.md."""
