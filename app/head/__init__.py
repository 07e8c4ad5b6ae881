"""The page's head: title, light and dark, the list of shortcuts, and what holds everywhere: keys, fields, tooltips."""
