"""The Apps protocol: manifests, calls to apps, and how the plugin decodes and cleans their responses."""
