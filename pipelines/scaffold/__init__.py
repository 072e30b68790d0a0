"""New parts of the project, made from templates: `component.create`."""
