"""Recipes of this distribution, as `<suite>/<recipe>.yaml`."""
