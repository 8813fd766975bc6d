"""How a frozen representation serves other data sets: protocols, their results and their floors."""
