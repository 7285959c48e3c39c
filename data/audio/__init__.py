"""Sounds in: decoding, spectra, silence."""
