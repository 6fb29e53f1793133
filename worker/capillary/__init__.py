"""The Capillary loyalty API over HTTP; the only package that imports httpx."""
