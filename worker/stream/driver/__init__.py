"""The one place of Faust's insides."""
