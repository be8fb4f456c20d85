"""What rain, and taking it out, does to detection and segmentation: the figures of SAPNet's Table 5.

Labelled photos are in `labels.py`, the two tasks in `detection.py` and `segmentation.py`, the rows in `table.py`. No
printing.
"""
