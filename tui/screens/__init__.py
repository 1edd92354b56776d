"""The screens: each arranges panels and says which key does what."""
