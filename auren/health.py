"""Is the bridge alive, is it well, and what do its counters say?"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse


def health(_request: HttpRequest) -> JsonResponse:
    """Answer that this process serves requests; looks at nothing else."""
    return JsonResponse({"status": "healthy", "service": "biometric-bridge"})
