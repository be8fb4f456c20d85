"""How good a derained picture is: metrics, tables and figures. Nothing here changes a picture or trains a network."""
