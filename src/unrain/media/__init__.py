"""Pictures and videos in and out: pixels, metadata, colour, sound, safe writing. No rain and no networks live here."""
