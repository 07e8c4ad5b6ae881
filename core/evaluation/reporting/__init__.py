"""Reports: what runs found, as data, Markdown, HTML, figures and contact sheets, and where the embedded one goes."""
