"""The developer's command ``cairn``; imports only ``wire``. Start at ``main``."""
