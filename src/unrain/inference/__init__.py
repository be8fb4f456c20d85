"""Running step graphs on pictures and videos: engines, the two drivers, and the models that people hold. No torch."""
