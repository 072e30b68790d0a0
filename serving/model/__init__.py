"""The served model: finding, loading, checking, batching and replacing its versions."""
