"""A gallery of recorded runs as a folder of plain files, which any web server shows: `python -m app.gallery FOLDER`."""
