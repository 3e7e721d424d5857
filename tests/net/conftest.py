from tests.net.namespaces import lab

__all__ = ["lab"]
